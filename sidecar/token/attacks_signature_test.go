package token

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"math/big"
	"testing"

	"github.com/bearerguard/bearerguard/api/decision"
)

// TestSignatureAttacks puts malformed, malleable and degenerate signatures on a good token.
func TestSignatureAttacks(t *testing.T) {
	t.Parallel()
	k := keys()
	v := newVerifier(t, Config{Keys: signingKeys(t), Issuer: issuer(nil)})
	// forge puts another signature on a good token.
	forge := func(alg, kid string, sig func(input string) []byte) string {
		input := enc64(text(object{"alg": alg, "kid": kid})) + "." + enc64(text(claims()))
		return input + "." + b64(sig(input))
	}
	constant := func(b []byte) func(string) []byte { return func(string) []byte { return b } }
	size := func(n int) []byte { return make([]byte, n) }
	n := k.p256.Params().N
	ps := func(hash crypto.Hash, salt int) func(string) []byte {
		return func(input string) []byte {
			h := hash.New()
			h.Write([]byte(input))
			sig, _ := rsa.SignPSS(rand.Reader, k.rsa, hash, h.Sum(nil), &rsa.PSSOptions{SaltLength: salt})
			return sig
		}
	}
	tests := map[string]string{
		"r and s zero":      forge("ES256", "p256", constant(size(64))),
		"r zero":            forge("ES256", "p256", constant(append(size(32), n.Bytes()...))),
		"r and s the order": forge("ES256", "p256", constant(append(n.Bytes(), n.Bytes()...))),
		"r and s one":       forge("ES256", "p256", constant(append(append(size(31), 1), append(size(31), 1)...))),
		"DER instead of raw": forge("ES256", "p256", func(in string) []byte {
			h := sha256.Sum256([]byte(in))
			s, _ := ecdsa.SignASN1(rand.Reader, k.p256, h[:])
			return s
		}),
		"one byte short":               forge("ES256", "p256", func(in string) []byte { return signature("ES256", k.p256, in)[:63] }),
		"one byte long":                forge("ES256", "p256", func(in string) []byte { return append(signature("ES256", k.p256, in), 0) }),
		"leading zero bytes":           forge("ES256", "p256", func(in string) []byte { return append([]byte{0, 0}, signature("ES256", k.p256, in)...) }),
		"ES512 of 131 bytes":           forge("ES512", "p521", func(in string) []byte { return signature("ES512", k.p521, in)[1:] }),
		"Ed25519 with a trailing byte": forge("EdDSA", "ed", func(in string) []byte { return append(signature("EdDSA", k.ed, in), 0) }),
		"Ed25519 s plus the order":     forge("EdDSA", "ed", func(in string) []byte { return addOrder(signature("EdDSA", k.ed, in)) }),
		"Ed25519 of zeros":             forge("EdDSA", "ed", constant(size(64))),
		"RSA of zeros":                 forge("RS256", "rsa", constant(size(256))),
		"RSA with a leading zero":      forge("RS256", "rsa", func(in string) []byte { return append([]byte{0}, signature("RS256", k.rsa, in)...) }),
		"RSA plus the modulus": forge("RS256", "rsa", func(in string) []byte {
			return new(big.Int).Add(new(big.Int).SetBytes(signature("RS256", k.rsa, in)), k.rsa.N).Bytes()
		}),
		"PSS without salt":            forge("PS256", "rsa", ps(crypto.SHA256, 0)),
		"PSS with the longest salt":   forge("PS256", "rsa", ps(crypto.SHA256, rsa.PSSSaltLengthAuto)),
		"PSS with a salt of 20 bytes": forge("PS256", "rsa", ps(crypto.SHA256, 20)),
		"PSS with another hash":       forge("PS256", "rsa", ps(crypto.SHA512, 32)),
		"one byte":                    forge("RS256", "rsa", constant([]byte{1})),
	}
	for name, raw := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, got := verify(v, raw); got != decision.BadSignature {
				t.Errorf("got %q, want BadSignature", got)
			}
		})
	}
	if _, got := verify(v, forge("PS512", "rsa", ps(crypto.SHA512, sha512.Size))); got != "" {
		t.Errorf("PSS with a salt as long as the hash: got %q", got)
	}
}

// addOrder makes the other spelling of an Ed25519 signature, s + L, which RFC 8032 section 5.1.7 refuses.
func addOrder(sig []byte) []byte {
	order, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	s := new(big.Int)
	for i := 63; i >= 32; i-- {
		s.Lsh(s, 8).Or(s, big.NewInt(int64(sig[i])))
	}
	s.Add(s, order)
	for i, b := range s.FillBytes(make([]byte, 32)) {
		sig[63-i] = b
	}
	return sig
}
