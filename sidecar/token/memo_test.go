package token

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/lestrrat-go/jwx/v2/jws"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/keyset"
	"github.com/bearerguard/bearerguard/api/policy"
)

// counting counts the signatures that are verified.
type counting struct {
	verifier
	n *atomic.Int32
}

func (c counting) Verify(payload, signature []byte, key any) error {
	c.n.Add(1)
	return c.verifier.Verify(payload, signature, key)
}

// TestOneVerificationForManyIssuers gives one token to several issuer entries of one iss and counts the cryptography.
func TestOneVerificationForManyIssuers(t *testing.T) {
	t.Parallel()
	k := keys()
	// Each set is parsed for itself, as those of different sources are.
	own := func() *keyset.Set { return set(t, keyset.Verify, public(k.rsa, "rsa", "")) }
	renamed := func() *keyset.Set { return set(t, keyset.Verify, public(k.rsa, "", "RS256")) }
	other := func() *keyset.Set { return set(t, keyset.Verify, public(k.rsa2, "rsa", "")) }
	secret := func(n int) *keyset.Set {
		return set(t, keyset.Verify, with(public(k.secret[:n], "rsa", ""), object{"use": "sig"}))
	}
	rs := sign("RS256", k.rsa, object{"alg": "RS256", "kid": "rsa"}, claims())
	hs := sign("HS256", k.secret[:32], object{"alg": "HS256", "kid": "rsa"}, claims())
	const bad = decision.BadSignature
	tests := map[string]struct {
		raw  string
		sets []*keyset.Set
		want []decision.Reason
		n    int32
	}{
		"the same key in three sources":          {rs, []*keyset.Set{own(), own(), own()}, []decision.Reason{"", "", ""}, 1},
		"the same key without kid":               {rs, []*keyset.Set{own(), renamed()}, []decision.Reason{"", ""}, 1},
		"another key of the same kid, first":     {rs, []*keyset.Set{other(), own()}, []decision.Reason{bad, ""}, 2},
		"another key of the same kid, second":    {rs, []*keyset.Set{own(), other(), own()}, []decision.Reason{"", bad, ""}, 2},
		"a key that fails, three times":          {tampered(rs), []*keyset.Set{own(), own(), own()}, []decision.Reason{bad, bad, bad}, 1},
		"the same secret in two sources":         {hs, []*keyset.Set{secret(32), secret(32)}, []decision.Reason{"", ""}, 1},
		"a secret that begins like the other":    {hs, []*keyset.Set{secret(32), secret(48)}, []decision.Reason{"", bad}, 2},
		"a set without keys for the token's alg": {hs, []*keyset.Set{secret(32), own()}, []decision.Reason{"", decision.AlgorithmNotAllowed}, 1},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var n atomic.Int32
			tok, no := Parse(tc.raw)
			if no.Refused() {
				t.Fatal(no.Reason)
			}
			for i, s := range tc.sets {
				if _, got := countingVerifier(t, s, &n).Verify(tok, now); got.Reason != tc.want[i] {
					t.Errorf("issuer %d: got %q, want %q", i, got.Reason, tc.want[i])
				}
			}
			if n.Load() != tc.n {
				t.Errorf("%d verifications, want %d", n.Load(), tc.n)
			}
		})
	}
}

func countingVerifier(t testing.TB, s *keyset.Set, n *atomic.Int32) *Verifier {
	v := newVerifier(t, Config{Keys: s, Issuer: issuer(func(i *policy.Issuer) { i.Algorithms = everyAlgorithm() })})
	for alg, scheme := range v.algs {
		v.algs[alg] = newCounting(scheme.verifier, n)
	}
	return v
}

func newCounting(v jws.Verifier, n *atomic.Int32) scheme { return scheme{counting{v, n}} }

// TestWhatIsRememberedAllowsNothing holds that a signature that was verified for one issuer does not get a token past
// the rules of another one with the same key.
func TestWhatIsRememberedAllowsNothing(t *testing.T) {
	t.Parallel()
	k := keys()
	tok, _ := Parse(sign("RS256", k.rsa, object{"alg": "RS256", "kid": "rsa"}, claims()))
	first := newVerifier(t, Config{Keys: set(t, keyset.Verify, public(k.rsa, "rsa", "")), Issuer: issuer(nil)})
	if _, got := first.Verify(tok, now); got.Refused() {
		t.Fatal(got.Reason)
	}
	for name, tc := range map[string]struct {
		jwk  object
		edit func(*policy.Issuer)
		want decision.Reason
	}{
		"an alg that is not listed":     {public(k.rsa, "rsa", ""), func(i *policy.Issuer) { i.Algorithms = []policy.Algorithm{"PS256"} }, decision.AlgorithmNotAllowed},
		"a key of another alg":          {public(k.rsa, "rsa", "PS256"), nil, decision.AlgorithmNotAllowed},
		"the key under another kid":     {public(k.rsa, "other", ""), nil, decision.UnknownKey},
		"another audience":              {public(k.rsa, "rsa", ""), func(i *policy.Issuer) { i.Audiences = []string{"billing"} }, decision.WrongAudience},
		"another issuer":                {public(k.rsa, "rsa", ""), func(i *policy.Issuer) { i.Issuer = "https://evil.example" }, decision.UnknownIssuer},
		"a type that the token has not": {public(k.rsa, "rsa", ""), func(i *policy.Issuer) { i.Types = []string{"at+jwt"} }, decision.WrongType},
	} {
		v := newVerifier(t, Config{Keys: set(t, keyset.Verify, tc.jwk), Issuer: issuer(tc.edit)})
		if _, got := v.Verify(tok, now); got.Reason != tc.want {
			t.Errorf("%s: got %q, want %q", name, got.Reason, tc.want)
		}
	}
}

// TestOneDecryptionForManyIssuers counts what a nested token remembers: an outcome an operation.
func TestOneDecryptionForManyIssuers(t *testing.T) {
	t.Parallel()
	k := keys()
	raw := seal("RSA-OAEP-256", "A256GCM", &k.rsa.PublicKey, object{"cty": "JWT", "kid": "rsa"}, nestedToken())
	verifierOf := func(opening *keyset.Set) *Verifier {
		return newVerifier(t, Config{Keys: signingKeys(t), Decryption: opening, Issuer: issuer(decryption(false))})
	}
	own := func() *Verifier { return verifierOf(set(t, keyset.Decrypt, private(k.rsa, "rsa", ""))) }
	other := verifierOf(set(t, keyset.Decrypt, private(k.rsa2, "rsa", "")))
	tok, no := Parse(raw)
	if no.Refused() {
		t.Fatal(no.Reason)
	}
	for i, step := range []struct {
		v         *Verifier
		want      decision.Reason
		decrypted int
	}{{own(), "", 1}, {own(), "", 1}, {other, decision.NotDecryptable, 2}, {own(), "", 2}, {other, decision.NotDecryptable, 2}} {
		if _, got := step.v.Verify(tok, now); got.Reason != step.want {
			t.Errorf("step %d: got %q, want %q", i, got.Reason, step.want)
		}
		if n := len(tok.jwe.opened.outcomes); n != step.decrypted {
			t.Errorf("step %d: %d decryptions, want %d", i, n, step.decrypted)
		}
	}
	if n := len(tok.jwe.opened.outcomes[0].value.inner.jws.verified.outcomes); n != 1 {
		t.Errorf("%d verifications of the inner token, want 1", n)
	}
}

func TestMemoIsBoundedAndSafe(t *testing.T) {
	t.Parallel()
	var m memo[int]
	var jwks []object
	for i := range 2 * maxMemo {
		secret := make([]byte, 32)
		secret[0] = byte(i)
		jwks = append(jwks, public(secret, "", ""))
	}
	list := append(set(t, keyset.Verify, jwks[:maxMemo]...).Keys(), set(t, keyset.Verify, jwks[maxMemo:]...).Keys()...)
	var runs atomic.Int32
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i, k := range list {
				if got := m.do(k, func() int { runs.Add(1); return i }); got != i {
					t.Errorf("key %d: got the outcome of %d", i, got)
				}
			}
		})
	}
	wg.Wait()
	if len(m.outcomes) != maxMemo || runs.Load() < 2*maxMemo {
		t.Errorf("%d outcomes after %d runs", len(m.outcomes), runs.Load())
	}
}
