package gate_test

import (
	"testing"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/api/revoked"
	"github.com/bearerguard/bearerguard/sidecar/gate"
	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
)

// TestCausesOfTheGate holds what people are told where not a single issuer but all of them, or none, are the matter.
func TestCausesOfTheGate(t *testing.T) {
	t.Parallel()
	spec := policy.Spec{
		Issuers: []policy.Issuer{corp.Policy("corp"), partner.Policy("partner")},
		Rules:   []policy.Rule{{Name: "all", Allow: &policy.Allow{Authenticated: true}}},
	}
	cookie := spec
	cookie.Issuers = []policy.Issuer{gatetest.NewIssuer("https://cookies.example", "c1").Policy("cookies")}
	cookie.Issuers[0].From = []policy.TokenLocation{{Cookie: "session"}}
	g := gate.New(gate.Options{Now: clock})
	revocation := policy.Revocation{Issuer: corp.URL, Entries: []policy.RevocationEntry{{JTI: "lost"}, {Subject: "mallory"}, {Session: "s-1"}}}
	g.Revoke(revoked.SetOf(revocation))
	g.Swap(gatetest.Snapshot(t, clock, gatetest.Policy("orders", spec), gatetest.Policy("cookies", cookie)))
	token := func(url string, claims map[string]any) []string {
		return bearer(gatetest.NewIssuer(url, "k1").Token(start, claims))
	}
	const places = `want it in the cookie session, or in the header Authorization after "Bearer "`
	tests := map[string]struct {
		give   *gate.Request
		reason decision.Reason
		cause  string
	}{
		"no token":                  {get("/a"), decision.NoToken, "the request has no token; " + places},
		"another scheme":            {get("/a", "Authorization", "Basic YTpi"), decision.NoToken, `the header Authorization does not begin with "Bearer "; want the token in the cookie session, or in the header Authorization after "Bearer "`},
		"the scheme without token":  {get("/a", "Authorization", "Bearer"), decision.Malformed, "the token is empty: its place is there, the token is not"},
		"iss with a slash":          {get("/a", token("https://login.example.com/", nil)...), decision.UnknownIssuer, `iss differs from "https://login.example.com" (issuer corp of shop/orders) by a final slash`},
		"a stranger":                {get("/a", token("https://evil.example", nil)...), decision.UnknownIssuer, `iss is no issuer's of the policies; want "https://cookies.example", "https://login.example.com" or "https://partner.example.net"`},
		"the place of another":      {get("/a", token("https://cookies.example", nil)...), decision.WrongLocation, `the token is in the header Authorization after "Bearer "; issuer cookies takes it in the cookie session`},
		"a token that is encrypted": {get("/a", "Authorization", "Bearer eyJhbGciOiJkaXIiLCJlbmMiOiJBMTI4R0NNIn0..AAAAAAAAAAAAAAAA.AA.AAAAAAAAAAAAAAAAAAAAAA"), decision.UnknownIssuer, "the token is encrypted (JWE), and no issuer has decryption"},
		"taken back by jti":         {get("/a", token(corp.URL, map[string]any{"jti": "lost"})...), decision.Revoked, "a TokenRevocation takes it back by its jti"},
		"taken back by sub":         {get("/a", token(corp.URL, map[string]any{"sub": "mallory"})...), decision.Revoked, "a TokenRevocation takes it back by its sub"},
		"taken back by sid":         {get("/a", token(corp.URL, map[string]any{"sid": "s-1"})...), decision.Revoked, "a TokenRevocation takes it back by its sid"},
		"two Authorizations":        {get("/a", append(bearer("a"), bearer("a")...)...), decision.DuplicateAuthorization, "the header Authorization is there more than once"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := g.Judge(tt.give)
			if v.Reason != tt.reason || v.Cause == nil || v.Cause.String() != tt.cause {
				t.Errorf("got %s: %v\nwant %s: %s", v.Reason, v.Cause, tt.reason, tt.cause)
			}
		})
	}
	if v := g.Judge(get("/a", token(corp.URL, map[string]any{"sid": 7})...)); !v.Forward || v.Cause != nil {
		t.Errorf("a session that no revocation can name: %s, %v", v.Reason, v.Cause)
	}
}
