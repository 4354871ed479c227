package keyset

import (
	"crypto/sha256"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDescribe(t *testing.T) {
	t.Parallel()
	k := keys()
	thumb := func(members object) string {
		sum := sha256.Sum256([]byte(text(members))) // maps are encoded in the order that RFC 7638 section 3.3 wants
		return b64(sum[:])
	}
	for name, tt := range map[string]struct {
		use  Use
		jwk  object
		want Description
	}{
		"RSA has its size": {
			Public, with(public(k.rsa), object{"kid": "a", "alg": "RS256"}),
			Description{KeyID: "a", Type: "RSA", Algorithm: "RS256", Use: "sig", Bits: 2048, Thumbprint: thumb(public(k.rsa)), Fits: []string{"RS256"}},
		},
		"a private key has the thumbprint of its public half": {
			Decrypt, with(private(k.p256), object{"kid": "b", "alg": "ECDH-ES"}),
			Description{KeyID: "b", Type: "EC", Curve: "P-256", Algorithm: "ECDH-ES", Use: "enc", Thumbprint: thumb(public(k.p256)), Fits: []string{"ECDH-ES"}},
		},
		"Ed25519": {
			Public, public(k.ed),
			Description{Type: "OKP", Curve: "Ed25519", Use: "sig", Thumbprint: thumb(public(k.ed)), Fits: []string{"EdDSA", "Ed25519"}},
		},
		"a secret has neither thumbprint nor size": {
			Verify, with(public(k.secret), object{"kid": "s", "alg": "HS256"}), Description{KeyID: "s", Type: "oct", Algorithm: "HS256", Use: "sig"},
		},
		"a secret that decrypts": {Decrypt, public(k.secret[:32]), Description{Type: "oct", Use: "enc"}},
		"a kid that is too long to show": {
			Verify, with(public(k.secret), object{"kid": strings.Repeat("ü", 500)}),
			Description{KeyID: strings.Repeat("ü", (mostKeyID-3)/2) + "...", Type: "oct", Use: "sig"},
		},
	} {
		s, err := Parse([]byte(text(tt.jwk)), tt.use)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(tt.want, s.Keys()[0].Describe(tt.use)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestDescriptionsHaveNoSecret looks for what is secret of every kind of key, and for hashes of it, in what is shown.
func TestDescriptionsHaveNoSecret(t *testing.T) {
	t.Parallel()
	k := keys()
	for name, jwk := range map[string]object{
		"a secret": public(k.secret), "an RSA key": private(k.rsa), "a P-256 key": private(k.p256), "an X25519 key": private(k.x25519),
	} {
		s, err := Parse([]byte(text(jwk)), Decrypt)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		shown := text(s.Keys()[0].Describe(Decrypt))
		for _, member := range []string{"k", "d", "p", "q", "n", "x", "y"} {
			if v, ok := jwk[member].(string); ok && strings.Contains(shown, v[:16]) {
				t.Errorf("%s: %s is in %s", name, member, shown)
			}
		}
		sum := sha256.Sum256(k.secret)
		tp := sha256.Sum256([]byte(text(public(k.secret))))
		if strings.Contains(shown, b64(sum[:])) || strings.Contains(shown, b64(tp[:])) {
			t.Errorf("%s: a hash of the secret is in %s", name, shown)
		}
	}
}
