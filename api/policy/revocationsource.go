package policy

import (
	"fmt"
	"regexp"
	"slices"
	"time"
)

// Bounds and defaults of a RevocationSource.
const (
	// DefaultTokenLifetime is how long entries are kept where tokenLifetime is left out.
	DefaultTokenLifetime = 24 * time.Hour
	// MaxTokenLifetime is the greatest tokenLifetime.
	MaxTokenLifetime = 90 * 24 * time.Hour
)

// RevocationSource is an identity provider that tells by itself whose tokens are taken back.
// +kubebuilder:validation:XValidation:rule="self.issuer == oldSelf.issuer",message="issuer cannot be changed: what was taken back was of the former one; make another RevocationSource"
// +kubebuilder:validation:XValidation:rule="has(self.backChannelLogout) != has(self.sharedSignals)",message="give backChannelLogout or sharedSignals; exactly one of the two"
type RevocationSource struct {
	// Issuer is the "iss" of what the provider sends, and of the tokens that are taken back.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	Issuer string `json:"issuer"`

	// Keys verify what the provider sends: public ones, since a shared secret would let every holder take tokens back. Default:
	// discovery of the issuer.
	// +optional
	// +kubebuilder:validation:XValidation:rule="!has(self.kubernetes)",message="kubernetes sends no such events; give another source of keys"
	Keys *KeySource `json:"keys,omitempty"`

	// CASecretRef is a Secret entry with PEM certificates to trust when keys are fetched, in place of the system's.
	// +optional
	// +kubebuilder:validation:XValidation:rule="!has(self.format) || self.format in ['Auto', 'PEM']",message="caSecretRef.format is Auto or PEM"
	CASecretRef *KeyRef `json:"caSecretRef,omitempty"`

	// Audiences are the values of "aud" of which what the provider sends must have one: the client id under which it knows you.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=2048
	Audiences []string `json:"audiences"`

	// TokenLifetime is the longest that an access token of the issuer lives; what is taken back is forgotten after it. Too short a
	// value gives tokens back before they expire. Default 24h, at most 2160h (90 days).
	// +optional
	TokenLifetime *Duration `json:"tokenLifetime,omitempty"`

	// BackChannelLogout takes logout tokens (OpenID Connect Back-Channel Logout 1.0).
	// +optional
	BackChannelLogout *BackChannelLogout `json:"backChannelLogout,omitempty"`

	// SharedSignals takes security event tokens (OpenID Shared Signals Framework 1.0, CAEP 1.0, RISC 1.0).
	// +optional
	SharedSignals *SharedSignals `json:"sharedSignals,omitempty"`
}

// BackChannelLogout is an endpoint that an identity provider posts logout tokens to.
type BackChannelLogout struct {
	// Path is the last part of the endpoint's path, /logout/NAMESPACE/PATH: lower-case letters, digits and "-". Default: the object's
	// name. Of several objects of a namespace with one path, the oldest has it.
	// +optional
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$`
	// +kubebuilder:validation:MaxLength=253
	Path string `json:"path,omitempty"`

	// By is what a logout takes back, if its token names a session and a subject. Session: the tokens whose "sid" is the session's.
	// Subject: all tokens of the subject that were issued until then, for issuers whose access tokens have no "sid". A logout token that
	// names one of the two alone goes by that. Default Session.
	// +optional
	By LogoutBy `json:"by,omitempty"`
}

// LogoutBy is what a logout takes back.
// +kubebuilder:validation:Enum=Session;Subject
type LogoutBy string

// The kinds of LogoutBy. The empty one is BySession.
const (
	BySession LogoutBy = "Session"
	BySubject LogoutBy = "Subject"
)

// Lifetime is TokenLifetime or its default.
func (s *RevocationSource) Lifetime() time.Duration {
	if s.TokenLifetime == nil {
		return DefaultTokenLifetime
	}
	return s.TokenLifetime.Duration
}

// AsIssuer is the source as an issuer, for all that is done with keys.
func (s *RevocationSource) AsIssuer() Issuer {
	i := Issuer{Name: "source", Issuer: s.Issuer, Audiences: s.Audiences, Keys: KeySource{Discovery: &Discovery{}}, CASecretRef: s.CASecretRef}
	if s.Keys != nil {
		i.Keys = *s.Keys
	}
	return i
}

var transmitterURL = regexp.MustCompile(`^https?://[^\s]+$`)

var lastPart = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$`)

// Validate returns an error that names the first field that is wrong, below the field path at. Keys are checked by decision.CheckKeys.
func (s *RevocationSource) Validate(at string) error {
	if s.Issuer == "" || len(s.Issuer) > 2048 {
		return fmt.Errorf("%s.issuer: has %d bytes; want the iss of what the provider sends, at most 2048", at, len(s.Issuer))
	}
	if len(s.Audiences) == 0 || len(s.Audiences) > 16 {
		return fmt.Errorf("%s.audiences: has %d; want 1 to 16, such as the client id under which the provider knows you", at, len(s.Audiences))
	}
	for i, a := range s.Audiences {
		if a == "" || len(a) > 2048 {
			return fmt.Errorf("%s.audiences[%d]: has %d bytes; want 1 to 2048", at, i, len(a))
		}
		if slices.Contains(s.Audiences[:i], a) {
			return fmt.Errorf("%s.audiences[%d]: is there twice; want different entries", at, i)
		}
	}
	if d := s.Lifetime(); d < time.Minute || d > MaxTokenLifetime {
		return fmt.Errorf("%s.tokenLifetime: is %s; want 1m to 2160h", at, d)
	}
	if err := s.validateKeys(at + ".keys"); err != nil {
		return err
	}
	if (s.BackChannelLogout == nil) == (s.SharedSignals == nil) {
		return fmt.Errorf("%s: has backChannelLogout and sharedSignals, or neither; want exactly one of the two", at)
	}
	if s.SharedSignals != nil {
		return s.SharedSignals.validate(at + ".sharedSignals")
	}
	return s.BackChannelLogout.validate(at + ".backChannelLogout")
}

// validateKeys refuses keys by which others than the provider could speak for it.
func (s *RevocationSource) validateKeys(at string) error {
	switch k := s.Keys; {
	case k == nil:
	case k.Kubernetes != nil:
		return fmt.Errorf("%s.kubernetes: sends no such events; want another source of keys", at)
	case k.SecretRef != nil && k.SecretRef.Format == FormatHMAC:
		return fmt.Errorf("%s.secretRef.format: is HMAC, but whoever holds a shared secret could take tokens back; want public keys", at)
	}
	return nil
}

func (b *BackChannelLogout) validate(at string) error {
	if b.Path != "" && !lastPart.MatchString(b.Path) {
		return fmt.Errorf("%s.path: want lower-case letters, digits, - and ., without a slash: the namespace goes before it", at)
	}
	switch b.By {
	case "", BySession, BySubject:
		return nil
	}
	return fmt.Errorf("%s.by: want Session or Subject", at)
}
