package policy

// Resource says what the app is to OAuth clients: a protected resource (RFC 9728). The sidecar answers where its metadata is
// asked for, without a token, and each challenge tells clients where that is.
type Resource struct {
	// URL is the resource identifier, as clients write it: "https://mcp.example.com/mcp". It is https without query and
	// fragment; http only for localhost and loopback addresses. Its path is the app's as clients see it, in canonical form. The
	// metadata are at /.well-known/oauth-protected-resource followed by that path.
	// +required
	// +kubebuilder:validation:Pattern=`^https?://[^\s?#]+$`
	// +kubebuilder:validation:MaxLength=1024
	URL string `json:"url"`

	// Name of the resource, for people.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Name string `json:"name,omitempty"`

	// Documentation is the URL of a page for developers of clients.
	// +optional
	// +kubebuilder:validation:Pattern=`^https?://[^\s]+$`
	// +kubebuilder:validation:MaxLength=1024
	Documentation string `json:"documentation,omitempty"`

	// Policy is the URL of a page that says what clients may do with the resource's data.
	// +optional
	// +kubebuilder:validation:Pattern=`^https?://[^\s]+$`
	// +kubebuilder:validation:MaxLength=1024
	Policy string `json:"policy,omitempty"`

	// TermsOfService is the URL of a page with the terms of service.
	// +optional
	// +kubebuilder:validation:Pattern=`^https?://[^\s]+$`
	// +kubebuilder:validation:MaxLength=1024
	TermsOfService string `json:"termsOfService,omitempty"`

	// AuthorizationServers are names of issuers of this policy that clients get tokens from. Default: all that have an issuer
	// which is a URL, without keys.kubernetes.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	AuthorizationServers []string `json:"authorizationServers,omitempty"`

	// Scopes are those that clients are told of, to ask for at first. Default: all that allow rules of this policy ask for. Others
	// are asked for when a request needs them.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=256
	Scopes []string `json:"scopes,omitempty"`

	// BearerMethods are ways to send a token that clients are told of (RFC 6750 section 2). Default: those of issuers[].from.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=2
	BearerMethods []BearerMethod `json:"bearerMethods,omitempty"`
}

// BearerMethod is a way to send a token. The sidecar takes none out of a body.
// +kubebuilder:validation:Enum=Header;Query
type BearerMethod string

// The ways to send a token.
const (
	// BearerHeader: the Authorization header (RFC 6750 section 2.1).
	BearerHeader BearerMethod = "Header"
	// BearerQuery: the query parameter access_token (RFC 6750 section 2.3).
	BearerQuery BearerMethod = "Query"
)
