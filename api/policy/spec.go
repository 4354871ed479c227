package policy

// Spec says which tokens are trusted, which requests they may make, and what the app sees of them.
// +kubebuilder:validation:XValidation:rule="has(self.resource) || !has(self.issuers) || !self.issuers.exists(i, has(i.resourceAudience) && i.resourceAudience)",message="issuers with resourceAudience: true need spec.resource"
type Spec struct {
	// Mode is Enforce (default) or Audit. An Audit policy is decided, counted and logged, but refuses nothing.
	// +optional
	// +kubebuilder:default=Enforce
	Mode Mode `json:"mode,omitempty"`

	// Issuers are the token issuers that this policy trusts. Rules refer to them by name.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Issuers []Issuer `json:"issuers,omitempty"`

	// Rules are a set: their order never matters. A request is refused if any deny rule fits, else forwarded if any
	// allow rule fits, else refused. A policy without rules refuses every request of the pods it selects.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	Rules []Rule `json:"rules,omitempty"`

	// Forward says what the app sees of the token. Omitted: the token as it came and no identity headers.
	// +optional
	Forward *Forward `json:"forward,omitempty"`

	// Paths says how request paths are checked before they are matched, and in which form the app gets them.
	// +optional
	Paths *Paths `json:"paths,omitempty"`

	// CORS lets web pages of other origins call the app. With it, the sidecar answers preflights, and its word replaces what
	// the app says of CORS. Omitted: both are left to the app.
	// +optional
	CORS *CORS `json:"cors,omitempty"`

	// Streams says what becomes of long streams.
	// +optional
	Streams *Streams `json:"streams,omitempty"`

	// Resource makes the app a protected resource of OAuth (RFC 9728): the sidecar answers with its metadata, and challenges
	// say where they are. MCP servers need it. Omitted: clients have to know where tokens come from.
	// +optional
	Resource *Resource `json:"resource,omitempty"`
}

// Mode says whether a policy's verdicts take effect.
// +kubebuilder:validation:Enum=Enforce;Audit
type Mode string

// The modes of a policy. The empty Mode is Enforce.
const (
	// Enforce lets the policy's verdicts take effect.
	Enforce Mode = "Enforce"
	// Audit records the policy's verdicts and changes nothing else.
	Audit Mode = "Audit"
)

// Forward says what the app sees of a verified token.
type Forward struct {
	// Token is Keep (default) or Strip. If any policy that selects the pod says Strip, the token is stripped.
	// +optional
	// +kubebuilder:default=Keep
	Token TokenForwarding `json:"token,omitempty"`

	// Headers are identity headers made from claims. Each is removed from every incoming request first, in every
	// spelling that an app may fold together (case, "_" for "-"). X-Forwarded-User, -Email, -Groups, -Preferred-Username and
	// X-Auth-Request-* are removed whether or not they are named. Headers that HTTP or the sidecar itself uses are refused.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	Headers []IdentityHeader `json:"headers,omitempty"`

	// PayloadHeader is the name of a header that carries all claims as base64url JSON without padding.
	// +optional
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9][A-Za-z0-9-]{0,63}$`
	PayloadHeader string `json:"payloadHeader,omitempty"`
}

// TokenForwarding says whether the app gets the token.
// +kubebuilder:validation:Enum=Keep;Strip
type TokenForwarding string

// The ways to treat the token on the way to the app. The empty value is Keep.
const (
	// Keep forwards the token where it was found, except in a query or a WebSocket subprotocol, where it is always removed.
	Keep TokenForwarding = "Keep"
	// Strip removes the token from the forwarded request.
	Strip TokenForwarding = "Strip"
)

// IdentityHeader is a request header that the app gets from a verified claim.
type IdentityHeader struct {
	// Name of the header.
	// +required
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9][A-Za-z0-9-]{0,63}$`
	Name string `json:"name"`

	// Claim is a claim path: dotted names with bracket-quoted segments, as in CEL: realm_access.roles or
	// ["https://example.com/tenant"]. A claim that the token lacks leaves the header out.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Claim string `json:"claim"`

	// Format is String (default), CSV or JSON. String takes scalars only; CSV joins the scalars of a list with "," and leaves
	// the header out if one of them has a comma; JSON takes any claim.
	// +optional
	Format HeaderFormat `json:"format,omitempty"`
}

// HeaderFormat is how a claim is written into a header.
// +kubebuilder:validation:Enum=String;CSV;JSON
type HeaderFormat string

// The formats of an identity header. The empty value is FormatString.
const (
	// FormatString writes a string, number or boolean as it is.
	FormatString HeaderFormat = "String"
	// FormatCSV joins the scalars of a list with ",".
	FormatCSV HeaderFormat = "CSV"
	// FormatJSON writes any claim as compact ASCII JSON.
	FormatJSON HeaderFormat = "JSON"
)

// Paths says how request paths are checked, and in which form the app gets them.
type Paths struct {
	// EncodedSlash is Refuse (default: 400) or Keep: "%2F" stays as it is, as part of one segment.
	// If any Enforce policy that selects the pod says Keep, it is kept for the pod.
	// +optional
	// +kubebuilder:default=Refuse
	EncodedSlash EncodedSlash `json:"encodedSlash,omitempty"`

	// Forward is Canonical (default): the app gets the path in the form that rules were matched with. Or AsSent: the app
	// gets the request target byte for byte, once its canonical form was judged; the app has to route it as that form reads.
	// A pod gets targets as they were sent only if all Enforce policies that select it say AsSent.
	// +optional
	// +kubebuilder:default=Canonical
	Forward PathForwarding `json:"forward,omitempty"`
}

// PathForwarding is the form in which the app gets the path.
// +kubebuilder:validation:Enum=Canonical;AsSent
type PathForwarding string

// The forms in which an app gets the path. The empty value is ForwardCanonical.
const (
	// ForwardCanonical forwards the canonical form of the path.
	ForwardCanonical PathForwarding = "Canonical"
	// ForwardAsSent forwards the request target as it was sent.
	ForwardAsSent PathForwarding = "AsSent"
)

// EncodedSlash says what becomes of "%2F" in a path.
// +kubebuilder:validation:Enum=Refuse;Keep
type EncodedSlash string

// The ways to treat an encoded slash. The empty value is RefuseEncodedSlash.
const (
	// RefuseEncodedSlash answers 400.
	RefuseEncodedSlash EncodedSlash = "Refuse"
	// KeepEncodedSlash keeps "%2F" as part of a segment.
	KeepEncodedSlash EncodedSlash = "Keep"
)

// Streams says what becomes of requests that outlive their token: upgraded connections, long answers, gRPC streams.
type Streams struct {
	// OnExpiry is Keep (default) or Close: the request is broken off when its token expires.
	// If any Enforce policy that selects the pod says Close, streams of the pod are closed.
	// +optional
	// +kubebuilder:default=Keep
	OnExpiry OnExpiry `json:"onExpiry,omitempty"`
}

// OnExpiry says what becomes of a stream when its token expires.
// +kubebuilder:validation:Enum=Keep;Close
type OnExpiry string

// The ways to treat a stream whose token expires. The empty value is KeepStream.
const (
	// KeepStream lets the stream run on.
	KeepStream OnExpiry = "Keep"
	// CloseStream breaks the stream off.
	CloseStream OnExpiry = "Close"
)
