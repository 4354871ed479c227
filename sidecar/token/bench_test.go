package token

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwt"

	"github.com/bearerguard/bearerguard/api/policy"
)

// BenchmarkVerify compares a first-seen token, everything checked, with the bare cryptography on the same key and with
// jwx's jwt.Parse, which checks less.
func BenchmarkVerify(b *testing.B) {
	v := newVerifier(b, Config{Keys: signingKeys(b), Issuer: issuer(func(i *policy.Issuer) { i.Algorithms = everyAlgorithm() })})
	for _, alg := range []string{"RS256", "PS256", "ES256", "EdDSA", "HS256"} {
		kid, key := signer(alg)
		payload := with(claims(), object{"scope": "orders.read orders.write", "realm_access": object{"roles": []string{"reader", "admin"}}})
		raw := sign(alg, key, object{"alg": alg, "kid": kid, "typ": "at+jwt"}, payload)
		b.Run(alg+"/bearerguard", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, reason := verify(v, raw); reason != "" {
					b.Fatal(reason)
				}
			}
		})
		b.Run(alg+"/raw", func(b *testing.B) {
			check := bare(alg, raw)
			b.ReportAllocs()
			for b.Loop() {
				if !check() {
					b.Fatal("does not verify")
				}
			}
		})
		b.Run(alg+"/jwx", func(b *testing.B) {
			public := key
			if s, ok := key.(crypto.Signer); ok {
				public = s.Public()
			}
			clock := jwt.WithClock(jwt.ClockFunc(func() time.Time { return now }))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := jwt.Parse([]byte(raw), jwt.WithKey(jwa.SignatureAlgorithm(alg), public), clock); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// bare is the cryptography alone, on bytes that are already there.
func bare(alg, raw string) func() bool {
	k := keys()
	i := strings.LastIndexByte(raw, '.')
	input := []byte(raw[:i])
	sig, _ := base64.RawURLEncoding.DecodeString(raw[i+1:])
	return func() bool {
		h := sha256.Sum256(input)
		switch alg {
		case "RS256":
			return rsa.VerifyPKCS1v15(&k.rsa.PublicKey, crypto.SHA256, h[:], sig) == nil
		case "PS256":
			return rsa.VerifyPSS(&k.rsa.PublicKey, crypto.SHA256, h[:], sig, nil) == nil
		case "ES256":
			return ecdsa.Verify(&k.p256.PublicKey, h[:], new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:]))
		case "EdDSA":
			return ed25519.Verify(k.ed.Public().(ed25519.PublicKey), input, sig)
		}
		m := hmac.New(sha256.New, k.secret)
		m.Write(input)
		return hmac.Equal(m.Sum(nil), sig)
	}
}

// BenchmarkDecrypt is a nested token, first seen.
func BenchmarkDecrypt(b *testing.B) {
	v := newVerifier(b, Config{Keys: signingKeys(b), Decryption: openingKeys(b), Issuer: issuer(decryption(false))})
	for _, alg := range []string{"RSA-OAEP-256", "ECDH-ES+A256KW", "A256KW", "dir"} {
		kid, key := recipient(alg, "A256GCM")
		raw := seal(alg, "A256GCM", key, object{"cty": "JWT", "kid": kid}, nestedToken())
		b.Run(alg, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, reason := verify(v, raw); reason != "" {
					b.Fatal(reason)
				}
			}
		})
	}
}

// BenchmarkParse is the strict front alone, and what a flood of garbage costs.
func BenchmarkParse(b *testing.B) {
	for name, raw := range map[string]string{
		"a good token": nestedToken(), "16 KiB of dots": strings.Repeat(".", MaxBytes), "16 KiB of letters": strings.Repeat("a", MaxBytes),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Parse(raw)
			}
		})
	}
}
