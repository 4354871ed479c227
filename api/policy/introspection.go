package policy

// Introspection says how an issuer is asked about tokens that nobody else can read (OAuth 2.0 Token Introspection, RFC 7662).
// What it answers are the token's claims. Exactly one of url, discovery is given.
//
// It is asked about opaque tokens, and about a JWT whose iss is this issuer's if no issuer with keys has that iss: each
// text is either verified or asked about, never both.
// +kubebuilder:validation:XValidation:rule="has(self.url) != has(self.discovery)",message="give url or discovery, exactly one of the two"
type Introspection struct {
	// URL of the introspection endpoint. https, unless the operator allows plain http.
	// +optional
	// +kubebuilder:validation:Pattern=`^https?://[^\s]+$`
	// +kubebuilder:validation:MaxLength=2048
	URL string `json:"url,omitempty"`

	// Discovery finds the endpoint through the issuer's metadata (RFC 8414 section 2, introspection_endpoint).
	// +optional
	Discovery *Discovery `json:"discovery,omitempty"`

	// CredentialsSecretRef is the Secret with what the sidecar shows the endpoint that it may ask. Its entries: client_id
	// always; client_secret for Basic and Post; private_key, a PEM private key (RSA, EC or Ed25519), for PrivateKeyJWT, and
	// key_id if the provider wants a kid; tls.crt and tls.key for MTLS.
	// +required
	CredentialsSecretRef SecretRef `json:"credentialsSecretRef"`

	// Auth is how the sidecar proves to the endpoint who it is. Default Basic.
	// +optional
	Auth IntrospectionAuth `json:"auth,omitempty"`

	// CacheTTL is how long an answer is used at most, if the token does not expire before: so long does a token stay good
	// that its issuer has taken back. 1s to 10m. Default 30s.
	// +optional
	CacheTTL *Duration `json:"cacheTTL,omitempty"`

	// SignedResponse takes signed answers only (RFC 9701), which the issuer's keys verify.
	// +optional
	SignedResponse bool `json:"signedResponse,omitempty"`
}

// MetadataURL returns where the issuer's metadata are said to be; empty if that is not said.
func (in *Introspection) MetadataURL() string {
	if in.Discovery == nil {
		return ""
	}
	return in.Discovery.URL
}

// SecretRef names a Secret in the policy's own namespace.
type SecretRef struct {
	// Name of the Secret.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
}

// IntrospectionAuth is a method of client authentication (RFC 6749 section 2.3, RFC 7523 section 2.2, RFC 8705 section 2).
// +kubebuilder:validation:Enum=Basic;Post;PrivateKeyJWT;MTLS
type IntrospectionAuth string

// The methods of client authentication. The empty one is AuthBasic.
const (
	// AuthBasic is client_secret_basic.
	AuthBasic IntrospectionAuth = "Basic"
	// AuthPost is client_secret_post.
	AuthPost IntrospectionAuth = "Post"
	// AuthPrivateKeyJWT is private_key_jwt.
	AuthPrivateKeyJWT IntrospectionAuth = "PrivateKeyJWT"
	// AuthMTLS is tls_client_auth or self_signed_tls_client_auth.
	AuthMTLS IntrospectionAuth = "MTLS"
)
