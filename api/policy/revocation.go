package policy

import (
	"cmp"
	"fmt"
	"unicode/utf8"
)

// Revocation takes back tokens of one issuer before they expire.
type Revocation struct {
	// Issuer is the "iss" of the tokens that are taken back.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	Issuer string `json:"issuer"`

	// Entries each take back some tokens.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=10000
	Entries []RevocationEntry `json:"entries"`
}

// RevocationEntry names the tokens that it takes back: exactly one of jti, subject, session is given.
// +kubebuilder:validation:XValidation:rule="[has(self.jti), has(self.subject), has(self.session)].filter(x, x).size() == 1",message="give exactly one of jti, subject, session"
type RevocationEntry struct {
	// JTI is a token's id, its claim "jti".
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	JTI string `json:"jti,omitempty"`

	// Subject takes back all tokens with this claim "sub".
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Subject string `json:"subject,omitempty"`

	// Session takes back all tokens with this claim "sid".
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Session string `json:"session,omitempty"`

	// IssuedBefore limits the entry to tokens whose "iat" is before this time; tokens without "iat" are taken back too.
	// Omitted: whenever they were issued.
	// +optional
	IssuedBefore *Time `json:"issuedBefore,omitempty"`

	// ExpiresAt is when the entry is no longer needed, since the tokens have expired by then. Omitted: kept for ever.
	// +optional
	ExpiresAt *Time `json:"expiresAt,omitempty"`

	// Reason is for people.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Reason string `json:"reason,omitempty"`
}

// Validate returns an error that names the first field that is wrong, below the field path at.
func (r Revocation) Validate(at string) error {
	if r.Issuer == "" {
		return fmt.Errorf("%s.issuer: is empty; want the iss of the tokens to take back", at)
	}
	if err := atMost(at+".issuer", r.Issuer, 2048); err != nil {
		return err
	}
	if len(r.Entries) == 0 {
		return fmt.Errorf("%s.entries: is empty; want at least one of jti, subject, session", at)
	}
	for i, e := range r.Entries {
		n := 0
		for _, v := range []string{e.JTI, e.Subject, e.Session} {
			if v != "" {
				n++
			}
		}
		if n != 1 {
			return fmt.Errorf("%s.entries[%d]: has %d of jti, subject, session; want exactly one", at, i, n)
		}
		here := fmt.Sprintf("%s.entries[%d]", at, i)
		err := cmp.Or(atMost(here+".jti", e.JTI, 1024), atMost(here+".subject", e.Subject, 1024), atMost(here+".session", e.Session, 1024),
			atMost(here+".reason", e.Reason, 256))
		if err != nil {
			return err
		}
	}
	return nil
}

// atMost refuses a text of more characters than the CRDs take.
func atMost(at, text string, characters int) error {
	if n := utf8.RuneCountInString(text); n > characters {
		return fmt.Errorf("%s: has %d characters; want at most %d", at, n, characters)
	}
	return nil
}
