package policy

import (
	"slices"
	"time"
)

// Issuer is one source of tokens: whom they must name, whom they are for, and the keys that prove it.
// +kubebuilder:validation:XValidation:rule="has(self.keys) && has(self.keys.spiffe) ? !(has(self.anyIssuer) && self.anyIssuer) : has(self.issuer) != (has(self.anyIssuer) && self.anyIssuer)",message="give issuer, or anyIssuer: true for tokens without iss; exactly one of the two, and with keys.spiffe issuer or none"
// +kubebuilder:validation:XValidation:rule="(has(self.audiences) || (has(self.resourceAudience) && self.resourceAudience)) != (has(self.anyAudience) && self.anyAudience)",message="give audiences or resourceAudience: true, or anyAudience: true"
// +kubebuilder:validation:XValidation:rule="!has(self.profile) || [has(self.anyIssuer) && self.anyIssuer && self.profile == 'RFC9068', has(self.anyAudience) && self.anyAudience, has(self.allowMissingExp) && self.allowMissingExp].filter(x, x).size() == 0",message="a profile asks for aud and exp, and RFC9068 for iss: leave out anyAudience, allowMissingExp and anyIssuer"
// +kubebuilder:validation:XValidation:rule="has(self.keys) || has(self.introspection)",message="give keys, or introspection for opaque tokens"
// +kubebuilder:validation:XValidation:rule="!has(self.introspection) || has(self.keys) == (has(self.introspection.signedResponse) && self.introspection.signedResponse)",message="keys beside introspection are those that sign answers: give them with introspection.signedResponse: true, and only with it"
// +kubebuilder:validation:XValidation:rule="!has(self.introspection) || !(has(self.types) || has(self.profile) || has(self.decryption))",message="types, profile and decryption are about tokens that the sidecar reads itself: leave them out beside introspection"
// +kubebuilder:validation:XValidation:rule="!has(self.introspection) || !has(self.algorithms) || has(self.keys)",message="algorithms beside introspection are those of signed answers: they go with introspection.signedResponse: true"
// +kubebuilder:validation:XValidation:rule="!has(self.introspection) || !(has(self.anyIssuer) && self.anyIssuer) || !((has(self.introspection.discovery)) || (has(self.introspection.signedResponse) && self.introspection.signedResponse))",message="introspection.discovery and introspection.signedResponse compare the issuer's name: give issuer instead of anyIssuer"
// +kubebuilder:validation:XValidation:rule="!has(self.keys) || !has(self.keys.secretRef) || !has(self.keys.secretRef.format) || self.keys.secretRef.format != 'HMAC' || (has(self.algorithms) && self.algorithms.exists(a, a.startsWith('HS')))",message="keys.secretRef.format HMAC goes with an HMAC algorithm in algorithms"
// +kubebuilder:validation:XValidation:rule="!has(self.caSecretRef) || !has(self.caSecretRef.format) || self.caSecretRef.format in ['Auto', 'PEM']",message="caSecretRef.format is Auto or PEM"
// +kubebuilder:validation:XValidation:rule="!has(self.decryption) || !has(self.decryption.secretRef.format) || self.decryption.secretRef.format != 'HMAC'",message="decryption.secretRef.format is Auto, JWKS or PEM; Auto reads a raw symmetric key too"
type Issuer struct {
	// Name is unique in the policy; rules refer to it.
	// +required
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`
	Name string `json:"name"`

	// Issuer must equal the token's "iss" exactly (RFC 7519 section 4.1.1).
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	Issuer string `json:"issuer,omitempty"`

	// AnyIssuer accepts tokens whatever their "iss", also without one; the keys alone prove them.
	// +optional
	AnyIssuer bool `json:"anyIssuer,omitempty"`

	// Audiences: at least one must be in the token's "aud" (RFC 7519 section 4.1.3).
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=2048
	Audiences []string `json:"audiences,omitempty"`

	// ResourceAudience adds spec.resource.url to the audiences, as it is written there: what clients ask for by it (RFC 8707).
	// +optional
	ResourceAudience bool `json:"resourceAudience,omitempty"`

	// AnyAudience accepts tokens whatever their "aud".
	// +optional
	AnyAudience bool `json:"anyAudience,omitempty"`

	// Keys is where the keys come from that verify this issuer's signatures. Beside introspection they verify its answers.
	// +optional
	Keys KeySource `json:"keys,omitzero"`

	// Introspection takes opaque tokens, in place of keys: the issuer is asked about each token (RFC 7662).
	// +optional
	Introspection *Introspection `json:"introspection,omitempty"`

	// CASecretRef is a Secret entry with PEM certificates that are trusted, instead of the system's, for fetching keys and for
	// introspection.
	// +optional
	CASecretRef *KeyRef `json:"caSecretRef,omitempty"`

	// Algorithms are the JWS algorithms allowed (RFC 7518 section 3.1, RFC 8037, RFC 9864).
	// Default: every asymmetric algorithm that the keys fit. HMAC algorithms work only when listed.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Algorithms []Algorithm `json:"algorithms,omitempty"`

	// Types are the "typ" header values allowed, compared without case and without "application/" (RFC 8725
	// section 3.11). Default: any, or none, except types known not to be access tokens (ID and logout tokens and such).
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=128
	Types []string `json:"types,omitempty"`

	// Profile is a preset of what a token must be, on top of the other fields. RFC9068: a JWT access token (RFC 9068
	// section 4), whose typ is at+jwt, and that has iss, exp, aud, sub, client_id, iat and jti. TransactionToken: a transaction
	// token (draft-ietf-oauth-transaction-tokens), whose typ is txntoken+jwt, and that has iat, exp, aud, txn, sub, scope and req_wl; it
	// comes in the header Txn-Token unless from says otherwise, and never in Authorization. Omitted: none.
	// +optional
	Profile Profile `json:"profile,omitempty"`

	// From is where tokens are looked for. Default: header Txn-Token with profile TransactionToken, else header Authorization with prefix "Bearer ", and with proof.dpop "DPoP " too.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	From []TokenLocation `json:"from,omitempty"`

	// Proof is what is done with tokens that are bound to a key. Omitted: such tokens are refused.
	// +optional
	Proof *Proof `json:"proof,omitempty"`

	// Decryption is the key for encrypted tokens (JWE, RFC 7516). With it, encrypted and plain signed tokens are taken,
	// unless decryption.required says otherwise.
	// +optional
	Decryption *Decryption `json:"decryption,omitempty"`

	// RequiredClaims are claim paths that a token must have, with a value other than null.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=256
	RequiredClaims []string `json:"requiredClaims,omitempty"`

	// ClockSkew is tolerated when comparing times. Default 30s, at most 5m.
	// +optional
	ClockSkew *Duration `json:"clockSkew,omitempty"`

	// MaxAge refuses tokens whose "iat" is longer ago; tokens without "iat" too. Omitted: no limit.
	// +optional
	MaxAge *Duration `json:"maxAge,omitempty"`

	// AllowMissingExp takes tokens without "exp". Such a token is valid until its keys or a revocation end it.
	// +optional
	AllowMissingExp bool `json:"allowMissingExp,omitempty"`
}

// DefaultClockSkew is what an issuer tolerates that says nothing of it.
const DefaultClockSkew = 30 * time.Second

// Skew returns the clockSkew of the issuer, or the default.
func (i *Issuer) Skew() time.Duration {
	if i.ClockSkew == nil {
		return DefaultClockSkew
	}
	return i.ClockSkew.Duration
}

// Algorithm is the name of a JWS algorithm. "none" is never allowed.
// +kubebuilder:validation:Enum=RS256;RS384;RS512;PS256;PS384;PS512;ES256;ES384;ES512;ES256K;EdDSA;Ed25519;HS256;HS384;HS512
type Algorithm string

// SVID reports whether a JWT-SVID may have the algorithm (JWT-SVID section 2.1).
func (a Algorithm) SVID() bool {
	switch a {
	case "RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512":
		return true
	}
	return false
}

// HMAC reports whether the algorithm signs with a shared secret.
func (a Algorithm) HMAC() bool { return a == "HS256" || a == "HS384" || a == "HS512" }

// Allows reports whether the issuer allows the JWS algorithm of this name, if that is known at all.
func (i *Issuer) Allows(name string) bool {
	if i.Keys.SPIFFE != nil && !Algorithm(name).SVID() {
		return false
	}
	if len(i.Algorithms) == 0 {
		return !Algorithm(name).HMAC()
	}
	return slices.Contains(i.Algorithms, Algorithm(name))
}

// OnlyHMAC reports whether every algorithm that the issuer allows is an HMAC algorithm.
func (i *Issuer) OnlyHMAC() bool {
	return len(i.Algorithms) > 0 && !slices.ContainsFunc(i.Algorithms, func(a Algorithm) bool { return !a.HMAC() })
}

// Profile names a standard that says what a token must be.
// +kubebuilder:validation:Enum=RFC9068;TransactionToken
type Profile string

// The profiles.
const (
	// ProfileRFC9068 is the JWT Profile for OAuth 2.0 Access Tokens.
	ProfileRFC9068 Profile = "RFC9068"
	// ProfileTransactionToken is that of OAuth Transaction Tokens (draft-ietf-oauth-transaction-tokens, the editors' copy of 2026-07-06).
	ProfileTransactionToken Profile = "TransactionToken"
)

// Locations returns where the issuer's tokens are looked for: what From says, or the default.
func (i *Issuer) Locations() []TokenLocation {
	switch {
	case len(i.From) > 0:
		return i.From
	case i.Profile == ProfileTransactionToken:
		return []TokenLocation{{Header: "Txn-Token"}}
	case i.TakesDPoP():
		return []TokenLocation{{Header: "Authorization", Prefix: "Bearer "}, {Header: "Authorization", Prefix: "DPoP "}}
	}
	return []TokenLocation{{Header: "Authorization", Prefix: "Bearer "}}
}

// KeySource is where a key set comes from. Exactly one field is given.
// +kubebuilder:validation:XValidation:rule="[has(self.jwksURL), has(self.discovery), has(self.jwks), has(self.secretRef), has(self.configMapRef), has(self.kubernetes), has(self.spiffe)].filter(x, x).size() == 1",message="give exactly one of jwksURL, discovery, jwks, secretRef, configMapRef, kubernetes, spiffe"
// +kubebuilder:validation:XValidation:rule="!has(self.configMapRef) || !has(self.configMapRef.format) || self.configMapRef.format != 'HMAC'",message="configMapRef.format is Auto, JWKS or PEM; secrets belong in secretRef"
type KeySource struct {
	// JWKSURL is fetched for a JWK Set (RFC 7517). https, unless the operator allows plain http.
	// +optional
	// +kubebuilder:validation:Pattern=`^https?://[^\s]+$`
	// +kubebuilder:validation:MaxLength=2048
	JWKSURL string `json:"jwksURL,omitempty"`

	// Discovery finds the JWK Set through the issuer's metadata (OpenID Connect Discovery 1.0, RFC 8414).
	// +optional
	Discovery *Discovery `json:"discovery,omitempty"`

	// JWKS is an inline JWK Set of public keys, as JSON. Secrets do not belong here.
	// +optional
	// +kubebuilder:validation:MinLength=2
	// +kubebuilder:validation:MaxLength=262144
	JWKS string `json:"jwks,omitempty"`

	// SecretRef is a Secret entry with a JWK Set, a PEM public key or certificate, or a raw HMAC secret (at least 32 bytes), if
	// every algorithm of the issuer is an HMAC algorithm or its format is HMAC.
	// +optional
	SecretRef *KeyRef `json:"secretRef,omitempty"`

	// ConfigMapRef is a ConfigMap entry with a JWK Set or a PEM public key or certificate.
	// +optional
	ConfigMapRef *KeyRef `json:"configMapRef,omitempty"`

	// Kubernetes takes the keys of this cluster's own service-account issuer.
	// +optional
	Kubernetes *KubernetesKeys `json:"kubernetes,omitempty"`

	// SPIFFE takes JWT-SVIDs of one trust domain, by the keys of its bundle. The trust domain is the issuer: issuer may be left
	// out, and so may anyIssuer.
	// +optional
	SPIFFE *SPIFFE `json:"spiffe,omitempty"`
}

// SPIFFE is a trust domain and where its bundle is (SPIFFE Trust Domain and Bundle section 4). Of a bundle, the keys of use
// jwt-svid count alone.
//
// +kubebuilder:validation:XValidation:rule="has(self.bundleURL) != has(self.configMapRef)",message="give exactly one of bundleURL, configMapRef"
type SPIFFE struct {
	// TrustDomain is the name of the trust domain: "example.org". The claim "sub" of a token must be a SPIFFE ID of it.
	// +required
	// +kubebuilder:validation:Pattern=`^[-a-z0-9._]{1,255}$`
	TrustDomain string `json:"trustDomain"`

	// BundleURL is the trust domain's bundle endpoint (SPIFFE Federation section 5), in the profile https_web: it is
	// authenticated as web servers are. The bundle's spiffe_refresh_hint says how often it is fetched, from every minute to every
	// hour.
	// +optional
	// +kubebuilder:validation:Pattern=`^https?://[^\s]+$`
	// +kubebuilder:validation:MaxLength=2048
	BundleURL string `json:"bundleURL,omitempty"`

	// ConfigMapRef is a ConfigMap entry with the bundle, as SPIRE's notifiers write it in the format spiffe. Its format is Auto or
	// JWKS.
	// +optional
	ConfigMapRef *KeyRef `json:"configMapRef,omitempty"`
}

// URL returns where the key set is fetched that has an address of its own; empty if there is none.
func (k *KeySource) URL() string {
	if k.SPIFFE != nil {
		return k.SPIFFE.BundleURL
	}
	return k.JWKSURL
}

// ConfigMap returns the ConfigMap entry that holds the keys; nil if none does.
func (k *KeySource) ConfigMap() *KeyRef {
	if k.SPIFFE != nil {
		return k.SPIFFE.ConfigMapRef
	}
	return k.ConfigMapRef
}

// Discovery finds keys through an issuer's metadata.
type Discovery struct {
	// URL of the metadata document, where it is not below the issuer. Default: issuer + /.well-known/openid-configuration,
	// then the RFC 8414 form.
	// +optional
	// +kubebuilder:validation:Pattern=`^https?://[^\s]+$`
	// +kubebuilder:validation:MaxLength=2048
	URL string `json:"url,omitempty"`
}

// KubernetesKeys takes this cluster's service-account tokens.
type KubernetesKeys struct {
	// AllowUnbound takes tokens too that are bound to no pod, such as those of kubectl create token. Nothing takes such a
	// token back when its user is gone. Default: only tokens that the kubelet mounted into a pod, until the pod is deleted.
	// +optional
	AllowUnbound bool `json:"allowUnbound,omitempty"`
}

// KeyRef names one entry of a Secret or ConfigMap in the policy's own namespace.
type KeyRef struct {
	// Name of the object.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// Key is the entry in the object's data.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Key string `json:"key"`

	// Format is what the entry has to be. Auto: a JWK Set, PEM or a certificate, whichever it is; what is none of them is
	// an HMAC secret if every algorithm of the issuer is an HMAC algorithm, and else refused; under decryption it is a
	// symmetric key. JWKS: a JWK Set, a list of JWKs or a single JWK. PEM: PEM blocks, or their DER. HMAC: a secret, byte for
	// byte; under keys.secretRef only. Default Auto.
	// +optional
	Format KeyFormat `json:"format,omitempty"`
}

// KeyFormat is how the text of an entry is read. No format makes a secret of what is a public key or a certificate.
// +kubebuilder:validation:Enum=Auto;JWKS;PEM;HMAC
type KeyFormat string

// The formats. The empty one is FormatAuto.
const (
	FormatAuto KeyFormat = "Auto"
	FormatJWKS KeyFormat = "JWKS"
	FormatPEM  KeyFormat = "PEM"
	FormatHMAC KeyFormat = "HMAC"
)

// TokenLocation is one place to look for a token. Exactly one of header, cookie, query, webSocketProtocol is given.
// +kubebuilder:validation:XValidation:rule="[has(self.header), has(self.cookie), has(self.query), has(self.webSocketProtocol)].filter(x, x).size() == 1",message="give exactly one of header, cookie, query, webSocketProtocol"
// +kubebuilder:validation:XValidation:rule="!has(self.prefix) || has(self.header)",message="prefix goes with header only"
type TokenLocation struct {
	// Header is a request header's name.
	// +optional
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9][A-Za-z0-9-]{0,63}$`
	Header string `json:"header,omitempty"`

	// Prefix is cut off the header's value; a scheme such as "Bearer " is compared without case (RFC 9110 section 11.1).
	// A value without the prefix is no token.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Prefix string `json:"prefix,omitempty"`

	// Cookie is a cookie's name.
	// +optional
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9!#$%&'*+.^_|~-]{1,64}$`
	Cookie string `json:"cookie,omitempty"`

	// Query is a query parameter's name. It is removed from the forwarded URL.
	// +optional
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9_.~-]{1,64}$`
	Query string `json:"query,omitempty"`

	// WebSocketProtocol is a subprotocol name that announces the token: "Sec-WebSocket-Protocol: bearer, <token>".
	// Both are removed before forwarding. Browsers cannot set headers on a WebSocket.
	// +optional
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9!#$%&'*+.^_|~-]{1,64}$`
	WebSocketProtocol string `json:"webSocketProtocol,omitempty"`
}

// Decryption is the key for encrypted tokens.
type Decryption struct {
	// SecretRef is a Secret entry with a JWK Set of private or symmetric keys, a PEM private key, or a raw symmetric key. Its
	// format is Auto, JWKS or PEM.
	// +required
	SecretRef KeyRef `json:"secretRef"`

	// AllowUnsigned takes tokens that are only encrypted, with a symmetric key; who holds the key may make tokens.
	// +optional
	AllowUnsigned bool `json:"allowUnsigned,omitempty"`

	// Required refuses tokens that are only signed: every token has to be encrypted.
	// +optional
	Required bool `json:"required,omitempty"`

	// KeyAlgorithms are the values of "alg" that an encrypted token may have. Omitted: every KeyAlgorithm that the keys fit.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	KeyAlgorithms []KeyAlgorithm `json:"keyAlgorithms,omitempty"`

	// ContentAlgorithms are the values of "enc" that an encrypted token may have. Omitted: every ContentAlgorithm.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	ContentAlgorithms []ContentAlgorithm `json:"contentAlgorithms,omitempty"`
}

// KeyAlgorithm is the name of a JWE algorithm for the content key (RFC 7518 section 4). RSA1_5 and PBES2 are never taken.
// +kubebuilder:validation:Enum=RSA-OAEP;RSA-OAEP-256;ECDH-ES;ECDH-ES+A128KW;ECDH-ES+A192KW;ECDH-ES+A256KW;A128KW;A192KW;A256KW;A128GCMKW;A192GCMKW;A256GCMKW;dir
type KeyAlgorithm string

// ContentAlgorithm is the name of a JWE algorithm for the content (RFC 7518 section 5).
// +kubebuilder:validation:Enum=A128GCM;A192GCM;A256GCM;A128CBC-HS256;A192CBC-HS384;A256CBC-HS512
type ContentAlgorithm string
