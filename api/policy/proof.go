package policy

// Proof is what is done with tokens that are bound to a key (RFC 7800 section 3), so that who stole one cannot use it.
// +kubebuilder:validation:XValidation:rule="!has(self.dpop) || self.dpop == 'Refuse' || has(self.publicURLs)",message="dpop needs publicURLs: the URLs that clients use, which proofs name"
// +kubebuilder:validation:XValidation:rule="(has(self.dpop) && self.dpop != 'Refuse') || !(has(self.publicURLs) || has(self.maxAge) || has(self.replay) || has(self.nonce) || has(self.nonceSecretRef))",message="publicURLs, maxAge, replay, nonce and nonceSecretRef go with dpop: Required or IfBound"
// +kubebuilder:validation:XValidation:rule="!(has(self.dpop) && self.dpop == 'Required' && has(self.mtls) && self.mtls == 'Required')",message="dpop and mtls cannot both be Required: a token is bound in one way; use IfBound for one of them, or for both"
// +kubebuilder:validation:XValidation:rule="!has(self.nonceSecretRef) || !has(self.nonceSecretRef.format) || self.nonceSecretRef.format != 'PEM'",message="nonceSecretRef.format is Auto, JWKS or HMAC: nonces are made with a secret"
// +kubebuilder:validation:XValidation:rule="!has(self.nonceSecretRef) || !has(self.nonce) || self.nonce != 'None'",message="nonceSecretRef is what nonces are made with, and nonce: None wants none"
type Proof struct {
	// DPoP is for tokens with cnf.jkt, which come under the scheme DPoP with a proof in the header DPoP (RFC 9449).
	// Default Refuse.
	// +optional
	DPoP Binding `json:"dpop,omitempty"`

	// PublicURLs are the URLs under which clients reach the app, up to the path that the sidecar sees. A proof's "htu" must be
	// one of them followed by the request's path; Host plays no part. Needed with dpop.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:Pattern=`^https?://[^\s?#]+$`
	// +kubebuilder:validation:items:MaxLength=2048
	PublicURLs []string `json:"publicURLs,omitempty"`

	// MaxAge is how long after its "iat" a proof is good, beside clockSkew. Default 60s, at most 10m.
	// +optional
	MaxAge *Duration `json:"maxAge,omitempty"`

	// Replay is what keeps a proof from being used twice. PerPod, the default: each pod remembers the proofs that it took.
	// None: nothing but maxAge does. (Not Off: YAML reads that as false.)
	// +optional
	Replay Replay `json:"replay,omitempty"`

	// Nonce says whether a proof must have a nonce that a sidecar gave lately (RFC 9449 section 9). Required: it must, and nonces
	// are made with a key that the controller gives the namespace, so that all of its pods take one another's; a standalone sidecar
	// makes a key of its own with each start. None, the default: it need not. (Not On and Off: YAML reads those as true and false.)
	// +optional
	Nonce Nonce `json:"nonce,omitempty"`

	// NonceSecretRef is a Secret entry with what nonces are made with instead: at least 32 bytes, or a JWK Set of symmetric keys, of which
	// the first makes nonces and all are taken. It implies nonce: Required; all pods that have the Secret take one another's.
	// +optional
	NonceSecretRef *KeyRef `json:"nonceSecretRef,omitempty"`

	// MTLS is for tokens with cnf.x5t#S256, which come over a TLS connection to the sidecar itself, with the client
	// certificate that this is the hash of (RFC 8705 section 3). Default Refuse.
	// +optional
	MTLS Binding `json:"mtls,omitempty"`
}

// Binding says whether tokens of an issuer are bound to a key.
// +kubebuilder:validation:Enum=Required;IfBound;Refuse
type Binding string

const (
	// BindingRequired takes only tokens that are bound in this way.
	BindingRequired Binding = "Required"
	// BindingIfBound has the key proved where a token is bound, and takes other tokens as before.
	BindingIfBound Binding = "IfBound"
	// BindingRefuse refuses tokens that are bound in this way.
	BindingRefuse Binding = "Refuse"
)

// Taken reports whether tokens that are bound in this way are taken.
func (b Binding) Taken() bool { return b == BindingRequired || b == BindingIfBound }

// Replay says what keeps a proof from being used twice.
// +kubebuilder:validation:Enum=PerPod;None
type Replay string

const (
	// ReplayPerPod has each pod remember the proofs that it took.
	ReplayPerPod Replay = "PerPod"
	// ReplayNone remembers nothing.
	ReplayNone Replay = "None"
)

// Nonce says whether proofs must have a nonce.
// +kubebuilder:validation:Enum=None;Required
type Nonce string

const (
	// NonceNone wants no nonce.
	NonceNone Nonce = "None"
	// NonceRequired wants one that a sidecar gave lately.
	NonceRequired Nonce = "Required"
)

// WantsNonce reports whether a proof must have a nonce.
func (p *Proof) WantsNonce() bool { return p.Nonce == NonceRequired || p.NonceSecretRef != nil }

// TakesDPoP reports whether the issuer's tokens may be bound by DPoP.
func (i *Issuer) TakesDPoP() bool { return i.Proof != nil && i.Proof.DPoP.Taken() }

// TakesMTLS reports whether the issuer's tokens may be bound to a client certificate.
func (i *Issuer) TakesMTLS() bool { return i.Proof != nil && i.Proof.MTLS.Taken() }
