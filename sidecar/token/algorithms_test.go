package token

import (
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/keyset"
	"github.com/bearerguard/bearerguard/api/policy"
)

// everyAlgorithm is what an issuer can list.
func everyAlgorithm() []policy.Algorithm {
	return []policy.Algorithm{
		"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "ES256K", "EdDSA", "Ed25519",
		"HS256", "HS384", "HS512",
	}
}

// signingKeys is one verifying key of each kind, and who signs with it.
func signingKeys(t testing.TB) *keyset.Set {
	k := keys()
	return set(t, keyset.Verify, public(k.rsa, "rsa", ""), public(k.p256, "p256", ""), public(k.p384, "p384", ""),
		public(k.p521, "p521", ""), public(k.k1, "k1", ""), public(k.ed, "ed", ""), public(k.secret, "secret", ""))
}

// signer returns the kid and the key that sign with the algorithm.
func signer(alg string) (string, any) {
	k := keys()
	switch alg {
	case "ES256":
		return "p256", k.p256
	case "ES384":
		return "p384", k.p384
	case "ES512":
		return "p521", k.p521
	case "ES256K":
		return "k1", k.k1
	case "EdDSA", "Ed25519":
		return "ed", k.ed
	}
	if strings.HasPrefix(alg, "HS") {
		return "secret", k.secret
	}
	return "rsa", k.rsa
}

func TestEveryAlgorithmVerifies(t *testing.T) {
	t.Parallel()
	v := newVerifier(t, Config{Keys: signingKeys(t), Issuer: issuer(func(i *policy.Issuer) { i.Algorithms = everyAlgorithm() })})
	for _, a := range everyAlgorithm() {
		alg := string(a)
		kid, key := signer(alg)
		got, reason := verify(v, sign(alg, key, object{"alg": alg, "kid": kid, "typ": "at+jwt"}, claims()))
		if reason != "" || got.KeyID != kid || got.Subject != "alice" {
			t.Errorf("%s: got key %q and reason %q", alg, got.KeyID, reason)
		}
		if _, reason := verify(v, sign(alg, key, object{"alg": alg}, claims())); reason != "" {
			t.Errorf("%s without kid: %s", alg, reason)
		}
		if _, reason := verify(v, tampered(sign(alg, key, object{"alg": alg, "kid": kid}, claims()))); reason != decision.BadSignature {
			t.Errorf("%s tampered with: got %q", alg, reason)
		}
	}
}

// tampered flips a bit in the middle of the signature.
func tampered(raw string) string {
	i := strings.LastIndexByte(raw, '.')
	sig, _ := decode(raw[i+1:])
	sig[len(sig)/2] ^= 1
	return raw[:i+1] + b64(sig)
}
