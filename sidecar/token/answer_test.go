package token

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/keyset"
	"github.com/bearerguard/bearerguard/api/policy"
)

// asking makes a verifier of an issuer that is asked.
func asking(t testing.TB, change ...func(*policy.Issuer)) *Verifier {
	t.Helper()
	spec := policy.Issuer{
		Name: "corp", Issuer: "https://corp.example.com", Audiences: []string{"orders"},
		Introspection: &policy.Introspection{URL: "https://corp.example.com/introspect"},
	}
	for _, c := range change {
		c(&spec)
	}
	v, err := NewVerifier(Config{Issuer: spec})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

var answeredAt = time.Unix(1_800_000_000, 0)

func TestWhatAnAnswerSays(t *testing.T) {
	t.Parallel()
	anyAudience := func(i *policy.Issuer) { i.Audiences, i.AnyAudience = nil, true }
	for what, c := range map[string]struct {
		body   string
		change func(*policy.Issuer)
		want   decision.Reason
	}{
		"an active token":                    {body: `{"active":true,"exp":1800000100,"aud":"orders","iss":"https://corp.example.com"}`},
		"without iss, it is who was asked":   {body: `{"active":true,"exp":1800000100,"aud":["x","orders"]}`},
		"not active":                         {body: `{"active":false}`, want: decision.Inactive},
		"not active, whatever else it says":  {body: `{"active":false,"exp":1800000100,"aud":"orders"}`, want: decision.Inactive},
		"active as a string":                 {body: `{"active":"true","exp":1800000100,"aud":"orders"}`, want: decision.IntrospectionUnavailable},
		"active as a number":                 {body: `{"active":1,"exp":1800000100,"aud":"orders"}`, want: decision.IntrospectionUnavailable},
		"active as null":                     {body: `{"active":null}`, want: decision.IntrospectionUnavailable},
		"active in another case":             {body: `{"Active":true,"exp":1800000100,"aud":"orders"}`, want: decision.IntrospectionUnavailable},
		"active twice":                       {body: `{"active":false,"active":true,"exp":1800000100,"aud":"orders"}`, want: decision.IntrospectionUnavailable},
		"active within another object":       {body: `{"token":{"active":true},"exp":1800000100,"aud":"orders"}`, want: decision.IntrospectionUnavailable},
		"nothing":                            {body: ``, want: decision.IntrospectionUnavailable},
		"an error":                           {body: `{"error":"invalid_client"}`, want: decision.IntrospectionUnavailable},
		"a list":                             {body: `[{"active":true}]`, want: decision.IntrospectionUnavailable},
		"two answers":                        {body: `{"active":true}{"active":true}`, want: decision.IntrospectionUnavailable},
		"cut off":                            {body: `{"active":true,"exp":18000001`, want: decision.IntrospectionUnavailable},
		"exp as a string":                    {body: `{"active":true,"exp":"1800000100","aud":"orders"}`, want: decision.IntrospectionUnavailable},
		"active, though it has expired":      {body: `{"active":true,"exp":1799999000,"aud":"orders"}`, want: decision.Expired},
		"active, though it is not valid yet": {body: `{"active":true,"exp":1800000100,"nbf":1800000090,"aud":"orders"}`, want: decision.NotYetValid},
		"without exp":                        {body: `{"active":true,"aud":"orders"}`, want: decision.MissingClaim},
		"without exp, which is allowed":      {body: `{"active":true,"aud":"orders"}`, change: func(i *policy.Issuer) { i.AllowMissingExp = true }},
		"for another audience":               {body: `{"active":true,"exp":1800000100,"aud":"billing"}`, want: decision.WrongAudience},
		"without audience":                   {body: `{"active":true,"exp":1800000100}`, want: decision.WrongAudience},
		"without audience, which is allowed": {body: `{"active":true,"exp":1800000100}`, change: anyAudience},
		"of another issuer":                  {body: `{"active":true,"exp":1800000100,"aud":"orders","iss":"https://evil.example.com"}`, want: decision.UnknownIssuer},
		"bound to a key":                     {body: `{"active":true,"exp":1800000100,"aud":"orders","cnf":{"jkt":"x"}}`, want: decision.KeyBound},
		"of type DPoP without a key":         {body: `{"active":true,"exp":1800000100,"aud":"orders","token_type":"DPoP"}`, want: decision.KeyBound},
		"a refresh token, as hydra says":     {body: `{"active":true,"exp":1800000100,"aud":"orders","token_use":"refresh_token"}`, want: decision.WrongType},
		"a refresh token, as Keycloak says":  {body: `{"active":true,"exp":1800000100,"aud":"orders","typ":"Refresh"}`, want: decision.WrongType},
		"an access token, as hydra says":     {body: `{"active":true,"exp":1800000100,"aud":"orders","token_use":"access_token","token_type":"Bearer"}`},
		"lacks a claim that is required": {
			body: `{"active":true,"exp":1800000100,"aud":"orders"}`, want: decision.MissingClaim,
			change: func(i *policy.Issuer) { i.RequiredClaims = []string{"token_type"} },
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			if c.change == nil {
				c.change = func(*policy.Issuer) {}
			}
			v, no := asking(t, c.change).VerifyAnswer(Answer{Body: c.body}, answeredAt)
			if no.Reason != c.want {
				t.Fatalf("%s %v; want %s", no.Reason, no.Cause, c.want)
			}
			if c.want == "" && v.Issuer != "https://corp.example.com" {
				t.Errorf("issuer is %q", v.Issuer)
			}
		})
	}
}

func TestASignedAnswer(t *testing.T) {
	t.Parallel()
	inner := map[string]any{"active": true, "exp": answeredAt.Unix() + 100, "aud": "orders", "sub": "alice"}
	good := func() map[string]any {
		return map[string]any{"iss": "https://corp.example.com", "aud": "side-car", "iat": answeredAt.Unix(), "token_introspection": inner}
	}
	for what, c := range map[string]struct {
		typ    string
		change func(map[string]any)
		signed bool
		want   decision.Reason
	}{
		"as RFC 9701 has it":                     {typ: "token-introspection+jwt"},
		"with the long form of typ":              {typ: "application/token-introspection+jwt"},
		"an access token of the same key":        {typ: "at+jwt", want: decision.IntrospectionUnavailable},
		"for another client":                     {typ: "token-introspection+jwt", change: func(m map[string]any) { m["aud"] = "other" }, want: decision.IntrospectionUnavailable},
		"of another issuer":                      {typ: "token-introspection+jwt", change: func(m map[string]any) { m["iss"] = "https://evil" }, want: decision.IntrospectionUnavailable},
		"an old one":                             {typ: "token-introspection+jwt", change: func(m map[string]any) { m["iat"] = answeredAt.Unix() - 600 }, want: decision.IntrospectionUnavailable},
		"without iat":                            {typ: "token-introspection+jwt", change: func(m map[string]any) { delete(m, "iat") }, want: decision.IntrospectionUnavailable},
		"active outside of token_introspection":  {typ: "token-introspection+jwt", change: func(m map[string]any) { m["active"] = true; delete(m, "token_introspection") }, want: decision.IntrospectionUnavailable},
		"token_introspection that is not active": {typ: "token-introspection+jwt", change: func(m map[string]any) { m["token_introspection"] = map[string]any{"active": false} }, want: decision.Inactive},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			claims := good()
			if c.change != nil {
				c.change(claims)
			}
			v, err := NewVerifier(Config{Issuer: policy.Issuer{
				Name: "corp", Issuer: "https://corp.example.com", Audiences: []string{"orders"},
				Introspection: &policy.Introspection{URL: "https://x", SignedResponse: true},
			}, Keys: set(t, keyset.Verify, public(keys().p256, "k1", "ES256"))})
			if err != nil {
				t.Fatal(err)
			}
			raw := sign("ES256", keys().p256, map[string]any{"alg": "ES256", "kid": "k1", "typ": c.typ}, claims)
			got, no := v.VerifyAnswer(Answer{Body: raw, Signed: true, ClientID: "side-car"}, answeredAt)
			if no.Reason != c.want || c.want == "" && got.Subject != "alice" {
				t.Errorf("%+v, %s %v; want %s", got, no.Reason, no.Cause, c.want)
			}
			forged := raw[:len(raw)-4] + "AAAA"
			if _, no := v.VerifyAnswer(Answer{Body: forged, Signed: true, ClientID: "side-car"}, answeredAt); no.Reason != decision.IntrospectionUnavailable {
				t.Errorf("forged: %s", no.Reason)
			}
			if _, no := v.VerifyAnswer(Answer{Body: `{"active":true}`}, answeredAt); no.Reason != decision.IntrospectionUnavailable {
				t.Errorf("plain: %s", no.Reason)
			}
			if parsed, no := Parse(raw); no.Reason == "" {
				if _, no := v.Verify(parsed, answeredAt); !no.Refused() {
					t.Error("a signed answer was taken for a token")
				}
			}
		})
	}
}

// TestALargeSignedAnswer: a JWS has the bound of tokens, which the log tells.
func TestALargeSignedAnswer(t *testing.T) {
	t.Parallel()
	v := asking(t, func(i *policy.Issuer) { i.Introspection.SignedResponse = true })
	for n, want := range map[int]string{MaxBytes - 2: "is not a well-formed JWS", MaxBytes - 1: "is signed and has more than 16 KiB"} {
		_, no := v.VerifyAnswer(Answer{Body: strings.Repeat("x", n) + "..", Signed: true, ClientID: "side-car"}, answeredAt)
		if no.Reason != decision.IntrospectionUnavailable || !strings.Contains(no.Cause.String(), want) {
			t.Errorf("%d bytes: %s %v; want %q", n+2, no.Reason, no.Cause, want)
		}
	}
}

// TestAnEncryptedAnswer is told from one that is garbled: the provider was told to encrypt.
func TestAnEncryptedAnswer(t *testing.T) {
	t.Parallel()
	v, err := NewVerifier(Config{Issuer: policy.Issuer{
		Name: "corp", Issuer: "https://corp.example.com", Audiences: []string{"orders"},
		Introspection: &policy.Introspection{URL: "https://x", SignedResponse: true},
	}, Keys: set(t, keyset.Verify, public(keys().p256, "k1", "ES256"))})
	if err != nil {
		t.Fatal(err)
	}
	head := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RSA-OAEP-256","enc":"A256GCM","typ":"token-introspection+jwt","cty":"JWT"}`))
	for _, body := range []string{head + ".a2V5.aXY.dGV4dA.dGFn", "x.x.x.x.x", "...."} {
		_, no := v.VerifyAnswer(Answer{Body: body, Signed: true, ClientID: "side-car"}, answeredAt)
		if no.Reason != decision.IntrospectionUnavailable || !strings.Contains(no.Cause.String(), "is encrypted (JWE)") || NewerKeys(no) {
			t.Errorf("%s: %s %v", body, no.Reason, no.Cause)
		}
	}
}

func TestWhatIsOpaque(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]bool{
		"2YotnFZFEjr1zCsicMWpAA":           true,
		"ory_at_abc.def":                   true,
		"a.b.c":                            true,
		"a.b.c.d.e":                        true,
		"eyJhbGciOiJub25lIn0.e30.":         false,
		"eyJhbGciOiJub25lIn0.e30.x":        false,
		"eyJhbGciOiJub25lIn0=.e30.x":       false, // padded
		"eyJhbGciOiJub25lIn1.e30.x":        false, // unused bits, as some readers take
		"ey%4AhbGciOiJub25lIn0.e30.x":      false,
		"eyJhbGciOiJub25lIn0.e30.x.y":      false,
		"eyJhbGciOiJub25lIn0.e30":          false, // cut off
		"eyJhbGciOiJub25lIn0":              true,
		"IHsiYWxnIjoibm9uZSJ9.e30.x":       false, // a blank first
		"eyJhbGciOiJub25lIn0.e30.x.y.zzzz": false,
	} {
		if got := Opaque(raw); got != want {
			t.Errorf("%s: %v; want %v", raw, got, want)
		}
	}
	for _, raw := range []string{"", "Bearer x", "a b", `"x"`, "a\x00b", "a\nb", "\u00e4", `{"active":true}`, strings.Repeat("x", MaxBytes+1),
		"=", "a=b", "a|b", "a:b", "a%00", "a;b", "<script>", "a'or'1", "../x?y", "a\\b", "a@b", "$x", "a\xff", "\u212a"} {
		if !CheckOpaque(raw).Refused() {
			t.Errorf("%q was taken", raw[:min(len(raw), 20)])
		}
	}
	for _, raw := range []string{"2YotnFZFEjr1zCsicMWpAA-._~+/=", "x", "x==", "../x", strings.Repeat("x", MaxBytes)} {
		if no := CheckOpaque(raw); no.Refused() {
			t.Error(no.Reason, no.Cause)
		}
	}
}

// FuzzAnswer: no answer makes a panic, and none is valid that does not say active: true itself.
func FuzzAnswer(f *testing.F) {
	v := asking(f, func(i *policy.Issuer) { i.Audiences, i.AnyAudience, i.AllowMissingExp = nil, true, true })
	f.Add(`{"active":true,"exp":1800000100,"aud":"orders"}`)
	f.Add(`{"active":false}`)
	f.Add(`{"active":"true"}`)
	f.Add(`{"a":[[[[{}]]]]}`)
	f.Fuzz(func(t *testing.T, body string) {
		got, no := v.VerifyAnswer(Answer{Body: body}, answeredAt)
		if !no.Refused() && got.Claims["active"] != true {
			t.Errorf("%q is valid", body)
		}
		_, _ = v.VerifyAnswer(Answer{Body: body, Signed: true, ClientID: "x"}, answeredAt)
		_ = Opaque(body) || CheckOpaque(body).Refused()
	})
}
