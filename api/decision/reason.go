package decision

// Reason says why a request was forwarded or refused. The set is closed; a Reason is safe as a metric label and in a log.
// How a client is told of each is one table: sidecar/refuse.
type Reason string

// Reasons to forward.
const (
	// Allowed: an allow rule fits and no deny rule does.
	Allowed Reason = "Allowed"
	// AuditOnly: only Audit policies select the workload.
	AuditOnly Reason = "AuditOnly"
)

// Reasons to answer in the app's place.
const (
	// Preflight: a browser asks whether a page may send a request; the sidecar has answered it.
	Preflight Reason = "Preflight"
	// ResourceMetadata: a client asks what the app is to OAuth (RFC 9728); the sidecar has answered it.
	ResourceMetadata Reason = "ResourceMetadata"
)

// Answered reports whether it is a reason to answer in the app's place, which is neither to forward nor to refuse.
func (r Reason) Answered() bool { return r == Preflight || r == ResourceMetadata }

// Reasons that lie in the workload's configuration, not in the request.
const (
	// NotReady: no snapshot has been loaded yet.
	NotReady Reason = "NotReady"
	// Stale: the controller has not been reached for longer than the sidecar may go without it.
	Stale Reason = "Stale"
	// NoPolicy: no policy selects the workload.
	NoPolicy Reason = "NoPolicy"
	// KeysUnavailable: the token's issuer has no keys yet.
	KeysUnavailable Reason = "KeysUnavailable"
	// IntrospectionUnavailable: the token's issuer has to be asked about it, and gives no answer that can be used.
	IntrospectionUnavailable Reason = "IntrospectionUnavailable"
	// InternalError: the judge itself went wrong; the request is refused.
	InternalError Reason = "InternalError"
)

// Reasons of ambiguous or malformed requests.
const (
	// BadRequest: the request line or a header field breaks HTTP's grammar.
	BadRequest Reason = "BadRequest"
	// BadPath: the path cannot be brought to one canonical form.
	BadPath Reason = "BadPath"
	// BadHost: the host is missing or malformed.
	BadHost Reason = "BadHost"
	// BadMethod: the method is not one that is forwarded (CONNECT, TRACE).
	BadMethod Reason = "BadMethod"
	// DuplicateAuthorization: the Authorization header comes more than once.
	DuplicateAuthorization Reason = "DuplicateAuthorization"
	// TokenInTwoPlaces: a token is in two places at once (RFC 6750 section 2).
	TokenInTwoPlaces Reason = "TokenInTwoPlaces"
	// TooLarge: the request's header section exceeds a limit.
	TooLarge Reason = "TooLarge"
	// URITooLong: the request target exceeds a limit.
	URITooLong Reason = "URITooLong"
	// MCPMismatch: the headers Mcp-Method and Mcp-Name say other than the body.
	MCPMismatch Reason = "MCPMismatch"
	// BodyTooLarge: the request's body exceeds the limit of the rules or of the sidecar.
	BodyTooLarge Reason = "BodyTooLarge"
	// RequestTimeout: the request's body comes too slowly.
	RequestTimeout Reason = "RequestTimeout"
	// Overloaded: as many requests run as may at a time.
	Overloaded Reason = "Overloaded"
)

// Reasons of the token.
const (
	// NoToken: the request carries no token and needs one.
	NoToken Reason = "NoToken"
	// Malformed: the token is not a well-formed compact JWS or JWE with strict JSON inside.
	Malformed Reason = "Malformed"
	// TokenTooLarge: the token exceeds 16 KiB.
	TokenTooLarge Reason = "TokenTooLarge"
	// UnknownIssuer: no issuer that applies has the token's iss.
	UnknownIssuer Reason = "UnknownIssuer"
	// WrongLocation: the token's issuer does not take tokens from the place where it was found.
	WrongLocation Reason = "WrongLocation"
	// AlgorithmNotAllowed: the header's alg (or enc) is not allowed, not known, or none.
	AlgorithmNotAllowed Reason = "AlgorithmNotAllowed"
	// HeaderNotAllowed: the header has jwk, an unknown crit, zip, or b64.
	HeaderNotAllowed Reason = "HeaderNotAllowed"
	// WrongType: the header's typ or cty is not allowed.
	WrongType Reason = "WrongType"
	// UnknownKey: no key of the issuer fits the header's kid and alg.
	UnknownKey Reason = "UnknownKey"
	// BadSignature: the signature does not verify.
	BadSignature Reason = "BadSignature"
	// NotDecryptable: the token is encrypted and cannot be decrypted.
	NotDecryptable Reason = "NotDecryptable"
	// NotEncrypted: the token is signed only, and the issuer's have to be encrypted.
	NotEncrypted Reason = "NotEncrypted"
	// Unsigned: the token is encrypted only, or alg is none.
	Unsigned Reason = "Unsigned"
	// Expired: exp lies in the past.
	Expired Reason = "Expired"
	// NotYetValid: nbf or iat lies in the future.
	NotYetValid Reason = "NotYetValid"
	// TooOld: iat is longer ago than maxAge.
	TooOld Reason = "TooOld"
	// WrongAudience: aud names none of the audiences.
	WrongAudience Reason = "WrongAudience"
	// MissingClaim: a required claim is missing.
	MissingClaim Reason = "MissingClaim"
	// BadClaim: a registered claim has a wrong type or value.
	BadClaim Reason = "BadClaim"
	// KeyBound: the token is bound to a key (cnf) in a way that its issuer's proof does not take.
	KeyBound Reason = "KeyBound"
	// NotBound: the token is bound to no key, and has to be.
	NotBound Reason = "NotBound"
	// BoundAsBearer: the token is bound by DPoP and comes under another scheme (RFC 9449 section 7.2).
	BoundAsBearer Reason = "BoundAsBearer"
	// BadProof: the DPoP proof is missing, malformed, or made for something else.
	BadProof Reason = "BadProof"
	// UseNonce: the DPoP proof has no nonce, or none that a sidecar gave lately (RFC 9449 section 9).
	UseNonce Reason = "UseNonce"
	// ProofReplayed: the DPoP proof was used before.
	ProofReplayed Reason = "ProofReplayed"
	// KeyMismatch: the key that the client proves is not the one that the token is bound to.
	KeyMismatch Reason = "KeyMismatch"
	// Unbound: the service-account token is bound to no pod.
	Unbound Reason = "Unbound"
	// Inactive: the token's issuer, asked about it, says that it is not active.
	Inactive Reason = "Inactive"
	// Revoked: a TokenRevocation takes the token back, or the pod or service account that it is for is gone.
	Revoked Reason = "Revoked"
)

// Reasons of the policy.
const (
	// DeniedByRule: a deny rule fits.
	DeniedByRule Reason = "DeniedByRule"
	// NoRule: the token is valid, but no allow rule fits.
	NoRule Reason = "NoRule"
	// InsufficientScope: an allow rule fits but for scopes that the token lacks.
	InsufficientScope Reason = "InsufficientScope"
	// InsufficientAuthentication: an allow rule fits but for how, or how long ago, the user logged in, and perhaps for scopes
	// too (RFC 9470).
	InsufficientAuthentication Reason = "InsufficientAuthentication"
)

// Reasons of the app behind the sidecar.
const (
	// UpstreamUnavailable: the app does not accept connections or broke one off.
	UpstreamUnavailable Reason = "UpstreamUnavailable"
	// UpstreamTimeout: the app did not answer in time.
	UpstreamTimeout Reason = "UpstreamTimeout"
	// UpstreamMalformed: the app's answer breaks HTTP's grammar or a limit.
	UpstreamMalformed Reason = "UpstreamMalformed"
)

// Reasons returns every Reason, for tables that must cover them all.
func Reasons() []Reason {
	return []Reason{
		Allowed, AuditOnly, Preflight, ResourceMetadata,
		NotReady, Stale, NoPolicy, KeysUnavailable, IntrospectionUnavailable, InternalError,
		BadRequest, BadPath, BadHost, BadMethod, DuplicateAuthorization, TokenInTwoPlaces, TooLarge,
		URITooLong, MCPMismatch, BodyTooLarge, RequestTimeout, Overloaded,
		NoToken, Malformed, TokenTooLarge, UnknownIssuer, WrongLocation, AlgorithmNotAllowed, HeaderNotAllowed, WrongType,
		UnknownKey, BadSignature, NotDecryptable, NotEncrypted, Unsigned, Expired, NotYetValid, TooOld, WrongAudience, MissingClaim,
		BadClaim, KeyBound, NotBound, BoundAsBearer, BadProof, UseNonce, ProofReplayed, KeyMismatch, Unbound, Inactive, Revoked,
		DeniedByRule, NoRule, InsufficientScope, InsufficientAuthentication,
		UpstreamUnavailable, UpstreamTimeout, UpstreamMalformed,
	}
}
