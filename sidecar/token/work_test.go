package token

import (
	"crypto/rsa"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/api/keyset"
	"github.com/bearerguard/bearerguard/api/policy"
)

// rsaOf is a public key of so many bits, which need not have a private one.
func rsaOf(bits, e int) *rsa.PrivateKey {
	n := new(big.Int).Lsh(big.NewInt(1), uint(bits-1))
	return &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: n.Add(n, big.NewInt(12345)), E: e}}
}

func TestWorkTellsWhatTakesLong(t *testing.T) {
	t.Parallel()
	const long = 200 * time.Microsecond
	all := newVerifier(t, Config{Keys: signingKeys(t), Issuer: issuer(func(i *policy.Issuer) { i.Algorithms = everyAlgorithm() })})
	opens := newVerifier(t, Config{
		Keys: set(t, keyset.Verify, public(keys().p256, "p256", "")), Decryption: openingKeys(t), Issuer: issuer(decryption(false)),
	})
	tests := map[string]struct {
		raw  string
		v    *Verifier
		long bool
	}{}
	for alg, isLong := range map[string]bool{
		"HS256": false, "HS512": false, "RS256": false, "PS512": false, "ES256": false, "EdDSA": false, "Ed25519": false,
		"ES256K": true, "ES384": true, "ES512": true,
	} {
		kid, key := signer(alg)
		raw := sign(alg, key, object{"alg": alg, "kid": kid}, claims())
		tests[alg] = struct {
			raw  string
			v    *Verifier
			long bool
		}{raw, all, isLong}
	}
	for alg, isLong := range map[string]bool{"RSA-OAEP-256": true, "ECDH-ES": true, "ECDH-ES+A128KW": true, "A256KW": false, "dir": false} {
		kid, key := recipient(alg, "A256GCM")
		raw := seal(alg, "A256GCM", key, object{"cty": "JWT", "kid": kid}, nestedToken())
		tests[alg] = struct {
			raw  string
			v    *Verifier
			long bool
		}{raw, opens, isLong}
	}
	for name, tt := range tests {
		tok, no := Parse(tt.raw)
		if no.Refused() {
			t.Fatal(name, no)
		}
		var w Work
		tt.v.Work(tok, now, &w)
		if got := w.Total() > long; got != tt.long || w.Total() == 0 {
			t.Errorf("%s: %s", name, w.Total())
		}
		once := w.Total()
		if tt.v.Work(tok, now, &w); !tok.Encrypted() && w.Total() != once {
			t.Errorf("%s: the same key again makes %s of %s", name, w.Total(), once)
		}
	}
}

func TestWorkOfLargeKeys(t *testing.T) {
	t.Parallel()
	before := time.Duration(0)
	for _, size := range []struct{ bits, e int }{{2048, 65537}, {3072, 65537}, {4096, 65537}, {4096, 1<<31 - 1}, {8192, 65537}} {
		k := set(t, keyset.Verify, public(rsaOf(size.bits, 65537), "k", "")).Keys()[0]
		k.Raw().(*rsa.PublicKey).E = size.e
		d, pss := SignatureWork("RS256", k), SignatureWork("PS256", k)
		if d <= before || pss < d {
			t.Errorf("%v: %s, %s with PSS; %s for the one before", size, d, pss, before)
		}
		before = d
	}
}

// What is refused before a key is touched is no work.
func TestRefusalsAreNoWork(t *testing.T) {
	t.Parallel()
	v := newVerifier(t, Config{Keys: signingKeys(t), Issuer: issuer(nil)})
	kid, key := signer("ES512")
	for name, raw := range map[string]string{
		"expired":                  sign("ES512", key, object{"alg": "ES512", "kid": kid}, with(claims(), object{"exp": now.Add(-time.Hour).Unix()})),
		"of another issuer":        sign("ES512", key, object{"alg": "ES512", "kid": kid}, with(claims(), object{"iss": "https://x.example"})),
		"by a key that is unknown": sign("ES512", key, object{"alg": "ES512", "kid": "none"}, claims()),
		"encrypted":                seal("RSA-OAEP-256", "A256GCM", &keys().rsa.PublicKey, object{"cty": "JWT"}, nestedToken()),
	} {
		tok, no := Parse(raw)
		if no.Refused() {
			t.Fatal(name, no)
		}
		var w Work
		if v.Work(tok, now, &w); w.Total() != 0 {
			t.Errorf("%s: %s", name, w.Total())
		}
	}
}

func TestLongTokensAreWorkToRead(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]bool{800: false, 4096: false, 6000: true, MaxBytes: true, 10 * MaxBytes: true} {
		if d := ReadingWork(strings.Repeat("a", n)); (d > 200*time.Microsecond) != want || d > time.Millisecond {
			t.Errorf("%d bytes: %s", n, d)
		}
	}
}
