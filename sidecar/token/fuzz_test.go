package token

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jws"
	"github.com/lestrrat-go/jwx/v2/jwt"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/keyset"
	"github.com/bearerguard/bearerguard/api/policy"
)

// FuzzFront is differential: what the front and the verifier accept, jwx accepts too, given the same key; and whatever
// is refused has a reason of the closed set.
func FuzzFront(f *testing.F) {
	k := keys()
	hs := k.secret[:32]
	f.Add(sign("HS256", hs, object{"alg": "HS256", "kid": "s"}, claims()), true)
	f.Add(sign("HS256", hs, `{"alg":"HS256"}`, `{"exp":1e10,"iss":"a"}`), true)
	f.Add(sign("HS256", hs, `{"alg":"none"}`, `{}`), false)
	f.Add(seal("A256KW", "A256GCM", hs, object{"cty": "JWT", "kid": "d"}, nestedToken()), true)
	f.Add(seal("A256GCMKW", "A128CBC-HS256", hs, object{"cty": "JWT"}, nestedToken()), true)
	f.Add(seal("ECDH-ES+A128KW", "A128GCM", &k.p256.PublicKey, object{"cty": "JWT"}, nestedToken()), true)
	f.Add("..", false)
	f.Add("....", false)
	verifying := set(f, keyset.Verify, public(hs, "s", ""), public(k.p256, "p256", ""))
	opening := set(f, keyset.Decrypt, public(hs, "d", ""), private(k.p256, "e", ""))
	v := newVerifier(f, Config{Keys: verifying, Decryption: opening, Issuer: issuer(func(i *policy.Issuer) {
		decryption(true)(i)
		i.Issuer, i.AnyIssuer, i.Audiences, i.AnyAudience, i.AllowMissingExp = "", true, nil, true, true
		i.Algorithms = []policy.Algorithm{"HS256", "ES256"}
	})})
	known := map[decision.Reason]bool{}
	for _, r := range decision.Reasons() {
		known[r] = true
	}
	f.Fuzz(func(t *testing.T, raw string, resign bool) {
		if parts := strings.Split(raw, "."); resign && len(parts) == 3 {
			input := parts[0] + "." + parts[1]
			raw = input + "." + b64(signature("HS256", hs, input))
		}
		got, reason := verify(v, raw)
		if reason != "" {
			if !known[reason] || got.Claims != nil {
				t.Fatalf("reason %q, or claims beside it", reason)
			}
			return
		}
		if len(raw) > MaxBytes || got.Claims == nil {
			t.Fatal("accepted beyond the bounds")
		}
		if strings.Count(raw, ".") == 2 {
			alg, key := jwa.HS256, any(hs)
			if got.KeyID == "p256" {
				alg, key = jwa.ES256, any(&k.p256.PublicKey)
			}
			if _, err := jws.Verify([]byte(raw), jws.WithKey(alg, key)); err != nil {
				t.Fatalf("jwx refuses what is accepted: %v", err)
			}
		}
		for part := range strings.SplitSeq(raw, ".") {
			b, err := base64.RawURLEncoding.DecodeString(part)
			if err != nil || b64(b) != part {
				t.Fatal("a part has another spelling")
			}
		}
	})
}

// FuzzSigned fuzzes what is inside a signed token: what is accepted, jwx's jwt.Parse accepts too.
func FuzzSigned(f *testing.F) {
	hs := keys().secret[:32]
	good := text(claims())
	for _, seed := range [][2]string{
		{`{"alg":"HS256"}`, good}, {`{"alg":"HS256","kid":"s","typ":"at+jwt"}`, `{"exp":1.9e9,"nbf":0,"aud":["a"],"iat":0.5}`},
		{`{"alg":"HS256","crit":["x"]}`, good}, {`{"alg":"HS256","cty":"JWT"}`, good}, {`{"alg":"HS256"}`, `{"aud":"a","sub":"\u00e9"}`},
	} {
		f.Add(seed[0], seed[1])
	}
	v := newVerifier(f, Config{Keys: set(f, keyset.Verify, public(hs, "s", "")), Issuer: policy.Issuer{
		AnyIssuer: true, AnyAudience: true, AllowMissingExp: true, Algorithms: []policy.Algorithm{"HS256"},
	}})
	f.Fuzz(func(t *testing.T, header, payload string) {
		raw := sign("HS256", hs, header, payload)
		if _, reason := verify(v, raw); reason != "" {
			return
		}
		clock := jwt.WithClock(jwt.ClockFunc(func() time.Time { return now }))
		if _, err := jwt.Parse([]byte(raw), jwt.WithKey(jwa.HS256, hs), jwt.WithAcceptableSkew(DefaultSkew+time.Second), clock); err != nil {
			t.Fatalf("jwx refuses what is accepted: %v", err)
		}
	})
}
