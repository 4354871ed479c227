package token

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/api/keyset"
	"github.com/bearerguard/bearerguard/api/policy"
)

// BenchmarkCost is what the constants in work.go come from: one token, first seen, by algorithm and size of key.
func BenchmarkCost(b *testing.B) {
	k := keys()
	for _, alg := range []string{"HS256", "HS512", "ES256", "ES256K", "ES384", "ES512", "EdDSA"} {
		kid, key := signer(alg)
		v := newVerifier(b, Config{Keys: signingKeys(b), Issuer: issuer(func(i *policy.Issuer) { i.Algorithms = everyAlgorithm() })})
		raw := sign(alg, key, object{"alg": alg, "kid": kid}, claims())
		b.Run("verify/"+alg, func(b *testing.B) { first(b, v, raw) })
	}
	for _, bits := range []int{2048, 3072, 4096, 8192} {
		key, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			b.Fatal(err)
		}
		for _, alg := range []string{"RS256", "PS256"} {
			v := newVerifier(b, Config{Keys: set(b, keyset.Verify, public(key, "k", alg)), Issuer: issuer(nil)})
			raw := sign(alg, key, object{"alg": alg, "kid": "k"}, claims())
			b.Run(fmt.Sprintf("verify/%s/%d", alg, bits), func(b *testing.B) { first(b, v, raw) })
		}
		if bits > 4096 {
			continue
		}
		v := newVerifier(b, Config{Keys: signingKeys(b), Decryption: set(b, keyset.Decrypt, private(key, "d", "RSA-OAEP-256")), Issuer: issuer(decryption(false))})
		raw := seal("RSA-OAEP-256", "A256GCM", &key.PublicKey, object{"cty": "JWT", "kid": "d"}, nestedToken())
		b.Run(fmt.Sprintf("decrypt/RSA-OAEP-256/%d", bits), func(b *testing.B) { first(b, v, raw) })
	}
	for _, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()} {
		key, _ := ecdsa.GenerateKey(curve, rand.Reader)
		v := newVerifier(b, Config{Keys: signingKeys(b), Decryption: set(b, keyset.Decrypt, private(key, "d", "")), Issuer: issuer(decryption(false))})
		raw := seal("ECDH-ES", "A256GCM", &key.PublicKey, object{"cty": "JWT", "kid": "d"}, nestedToken())
		b.Run("decrypt/ECDH-ES/"+curve.Params().Name, func(b *testing.B) { first(b, v, raw) })
	}
	for _, alg := range []string{"A256KW", "dir"} {
		v := newVerifier(b, Config{Keys: signingKeys(b), Decryption: openingKeys(b), Issuer: issuer(decryption(false))})
		kid, key := recipient(alg, "A256GCM")
		raw := seal(alg, "A256GCM", key, object{"cty": "JWT", "kid": kid}, nestedToken())
		b.Run("decrypt/"+alg, func(b *testing.B) { first(b, v, raw) })
	}
	for name, payload := range map[string]object{
		"text":    with(claims(), object{"a": strings.Repeat("x", 11<<10)}),
		"numbers": with(claims(), object{"a": make([]int, 5<<10)}),
		"objects": with(claims(), object{"a": many(1100)}),
	} {
		raw := sign("HS256", k.secret, object{"alg": "HS256"}, payload)
		b.Run(fmt.Sprintf("parse/%s/%d", name, len(raw)), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, no := Parse(raw); no.Refused() {
					b.Fatal(no)
				}
			}
		})
	}
}

func many(n int) object {
	out := object{}
	for i := range n {
		out[fmt.Sprintf("m%d", i)] = 0
	}
	return out
}

// first verifies a token as if it came for the first time.
func first(b *testing.B, v *Verifier, raw string) {
	b.Helper()
	for b.Loop() {
		if _, reason := verify(v, raw); reason != "" {
			b.Fatal(reason)
		}
	}
}
