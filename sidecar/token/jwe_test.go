package token

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/keyset"
	"github.com/bearerguard/bearerguard/api/policy"
)

func decryption(unsigned bool) func(*policy.Issuer) {
	return func(i *policy.Issuer) {
		i.Decryption = &policy.Decryption{AllowUnsigned: unsigned}
	}
}

// openingKeys is one decryption key of each kind and size.
func openingKeys(t testing.TB) *keyset.Set {
	k := keys()
	return set(t, keyset.Decrypt, private(k.rsa, "rsa", ""), private(k.p256, "p256", ""), private(k.p384, "p384", ""),
		private(k.p521, "p521", ""), private(k.x25519, "x25519", ""), public(k.secret[:16], "16", ""),
		public(k.secret[:24], "24", ""), public(k.secret[:32], "32", ""), public(k.secret[:48], "48", ""), public(k.secret, "64", ""))
}

// recipient returns the kid and the key to encrypt to.
func recipient(alg, enc string) (string, any) {
	k := keys()
	switch {
	case strings.HasPrefix(alg, "RSA"):
		return "rsa", &k.rsa.PublicKey
	case strings.HasPrefix(alg, "ECDH"):
		return "p256", &k.p256.PublicKey
	case alg == "dir":
		return map[int]string{16: "16", 24: "24", 32: "32", 48: "48", 64: "64"}[contentKeySize(enc)], k.secret[:contentKeySize(enc)]
	}
	switch alg[:4] {
	case "A128":
		return "16", k.secret[:16]
	case "A192":
		return "24", k.secret[:24]
	}
	return "32", k.secret[:32]
}

func keyAlgorithms() []string {
	return []string{
		"RSA-OAEP", "RSA-OAEP-256", "ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A192KW", "ECDH-ES+A256KW",
		"A128KW", "A192KW", "A256KW", "A128GCMKW", "A192GCMKW", "A256GCMKW", "dir",
	}
}

func contentEncryptions() []string {
	return []string{"A128GCM", "A192GCM", "A256GCM", "A128CBC-HS256", "A192CBC-HS384", "A256CBC-HS512"}
}

func nestedToken() string {
	return sign("ES256", keys().p256, object{"alg": "ES256", "kid": "p256"}, claims())
}

func TestEveryEncryption(t *testing.T) {
	t.Parallel()
	v := newVerifier(t, Config{Keys: signingKeys(t), Decryption: openingKeys(t), Issuer: issuer(decryption(false))})
	for _, alg := range keyAlgorithms() {
		for _, enc := range contentEncryptions() {
			kid, key := recipient(alg, enc)
			raw := seal(alg, enc, key, object{"cty": "JWT", "kid": kid}, nestedToken())
			if got, reason := verify(v, raw); reason != "" || got.KeyID != "p256" || got.Subject != "alice" {
				t.Errorf("%s %s: got key %q and reason %q", alg, enc, got.KeyID, reason)
			}
			if _, reason := verify(v, seal(alg, enc, key, object{"cty": "JWT"}, nestedToken())); reason != "" {
				t.Errorf("%s %s without kid: %s", alg, enc, reason)
			}
			for part := range 5 {
				if _, reason := verify(v, corrupt(raw, part)); reason != decision.NotDecryptable && reason != decision.Malformed {
					t.Errorf("%s %s with part %d changed: got %q", alg, enc, part, reason)
				}
			}
		}
	}
}

// corrupt flips a bit inside a part: of the header, so that its JSON stays well-formed.
func corrupt(raw string, part int) string {
	parts := strings.Split(raw, ".")
	b, _ := base64.RawURLEncoding.DecodeString(parts[part])
	switch {
	case part == 0:
		b = []byte(strings.Replace(string(b), `"JWT"`, `"jwt"`, 1))
	case len(b) == 0:
		b = []byte{0}
	default:
		b[len(b)/2] ^= 1
	}
	parts[part] = b64(b)
	return strings.Join(parts, ".")
}

func TestOtherCurves(t *testing.T) {
	t.Parallel()
	k := keys()
	v := newVerifier(t, Config{Keys: signingKeys(t), Decryption: openingKeys(t), Issuer: issuer(decryption(false))})
	for kid, key := range map[string]any{"p384": &k.p384.PublicKey, "p521": &k.p521.PublicKey, "x25519": x25519Public(k.x25519)} {
		for _, alg := range []string{"ECDH-ES", "ECDH-ES+A256KW"} {
			if _, reason := verify(v, seal(alg, "A256GCM", key, object{"cty": "JWT", "kid": kid}, nestedToken())); reason != "" {
				t.Errorf("%s to %s: %s", alg, kid, reason)
			}
			wrong := "p256"
			if _, reason := verify(v, seal(alg, "A256GCM", key, object{"cty": "JWT", "kid": wrong}, nestedToken())); reason != decision.NotDecryptable {
				t.Errorf("%s to %s, said to be to %s: %s", alg, kid, wrong, reason)
			}
		}
	}
}

func TestDecryptionKeys(t *testing.T) {
	t.Parallel()
	raw := seal("A256KW", "A256GCM", keys().secret[:32], object{"cty": "JWT", "kid": "32"}, nestedToken())
	none := newVerifier(t, Config{Keys: signingKeys(t), Issuer: issuer(nil)})
	if _, got := verify(none, raw); got != decision.NotDecryptable {
		t.Errorf("an issuer that takes no encrypted tokens: got %q", got)
	}
	missing := newVerifier(t, Config{Keys: signingKeys(t), Issuer: issuer(decryption(false))})
	if _, got := verify(missing, raw); got != decision.KeysUnavailable {
		t.Errorf("decryption keys that are not resolved: got %q", got)
	}
	unresolved := newVerifier(t, Config{Decryption: openingKeys(t), Issuer: issuer(decryption(false))})
	if _, got := verify(unresolved, raw); got != decision.KeysUnavailable {
		t.Errorf("signing keys that are not resolved: got %q", got)
	}
}
