package gate_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/api/revoked"
	"github.com/bearerguard/bearerguard/sidecar/gate"
	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
)

// everywhere takes tokens from every kind of place.
func everywhere(forwarding policy.TokenForwarding) policy.Spec {
	is := corp.Policy("corp")
	is.From = []policy.TokenLocation{
		{Header: "X-Token"}, {Cookie: "session"}, {Query: "access_token"}, {WebSocketProtocol: "bearer"},
	}
	return policy.Spec{
		Issuers: []policy.Issuer{is},
		Rules:   []policy.Rule{{Name: "all", Allow: &policy.Allow{Authenticated: true}}},
		Forward: &policy.Forward{Token: forwarding},
	}
}

func TestTokenPlaces(t *testing.T) {
	t.Parallel()
	tok := corp.Token(start, nil)
	type want struct {
		target, answer string
		replace        []gate.Replacement
		removed        bool // X-Token
	}
	tests := map[string]struct {
		forwarding policy.TokenForwarding
		give       *gate.Request
		want       want
	}{
		"a header is kept":     {policy.Keep, get("/a", "X-Token", tok), want{target: "/a"}},
		"a header is stripped": {policy.Strip, get("/a", "X-Token", tok), want{target: "/a", removed: true}},
		"a cookie is kept":     {policy.Keep, get("/a", "Cookie", "a=b; session="+tok), want{target: "/a"}},
		"a cookie is stripped": {policy.Strip, get("/a", "Cookie", "a=b; session="+tok+"; c=d"),
			want{target: "/a", replace: []gate.Replacement{{Name: "Cookie", Values: []string{"a=b; c=d"}}}}},
		"a query parameter is always cut out and the rest is untouched": {policy.Keep, get("/a?x=%2e%2E&access_token=" + tok + "&y=;+"),
			want{target: "/a?x=%2e%2E&y=;+"}},
		"a query of a token alone is gone": {policy.Keep, get("/a?access_token=" + tok), want{target: "/a"}},
		"a WebSocket token is always cut out": {policy.Keep, get("/a", "Sec-Websocket-Protocol", "bearer, "+tok+", chat"),
			want{target: "/a", replace: []gate.Replacement{{Name: "Sec-Websocket-Protocol", Values: []string{"chat"}}}}},
		"an offer of a token alone is answered": {policy.Keep, get("/a", "Sec-Websocket-Protocol", "bearer, "+tok),
			want{target: "/a", answer: "bearer", replace: []gate.Replacement{{Name: "Sec-Websocket-Protocol"}}}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newGate(t, gatetest.Policy("orders", everywhere(tt.forwarding))).Judge(tt.give)
			got := want{v.Target, v.Edit.AnswerProtocol, v.Edit.Replace, v.Edit.Remove("x-token")}
			for i := range got.replace {
				if len(got.replace[i].Values) == 0 {
					got.replace[i].Values = nil
				}
			}
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(want{})); !v.Forward || diff != "" {
				t.Errorf("%s\n%s", v.Reason, diff)
			}
			if !v.Edit.Remove("X_Token") {
				t.Error("another spelling of the token's header would get through unchecked")
			}
		})
	}
}

// byText compares causes by what they tell.
var byText = cmp.Comparer(func(a, b decision.Cause) bool {
	return a == nil && b == nil || a != nil && b != nil && a.String() == b.String()
})

func TestTokensInTwoPlacesAreRefused(t *testing.T) {
	t.Parallel()
	tok, other := corp.Token(start, nil), corp.Token(start, map[string]any{"jti": "other"})
	g := newGate(t, gatetest.Policy("orders", everywhere(policy.Keep)))
	v := g.Judge(get("/a?access_token="+other, "X-Token", tok))
	if want := "the tokens in the header X-Token and in the query parameter access_token differ"; v.Reason != decision.TokenInTwoPlaces || v.Cause.String() != want {
		t.Errorf("got %s, %v", v.Reason, v.Cause)
	}
	v = g.Judge(get("/a?access_token=" + tok + "&access_token=" + tok))
	if want := "the query parameter access_token is there more than once"; v.Reason != decision.TokenInTwoPlaces || v.Cause.String() != want {
		t.Errorf("got %s, %v", v.Reason, v.Cause)
	}
}

// One token in several places is one token, and is cut out of all of them.
func TestOneTokenInSeveralPlaces(t *testing.T) {
	t.Parallel()
	tok := corp.Token(start, nil)
	for _, forwarding := range []policy.TokenForwarding{policy.Keep, policy.Strip} {
		is := corp.Policy("corp")
		is.From = append(everywhere(forwarding).Issuers[0].From, policy.TokenLocation{Header: "Authorization", Prefix: "Bearer "}, policy.TokenLocation{Cookie: "second"})
		spec := everywhere(forwarding)
		spec.Issuers = []policy.Issuer{is}
		v := newGate(t, gatetest.Policy("orders", spec)).Judge(get("/a?x=1&access_token="+tok, "X-Token", tok, "Authorization", "Bearer "+tok,
			"Cookie", "a=b; session="+tok+"; second="+tok, "Sec-Websocket-Protocol", "bearer, "+tok+", chat"))
		stripped := forwarding == policy.Strip
		want := []gate.Replacement{{Name: "Sec-Websocket-Protocol", Values: []string{"chat"}}}
		if stripped {
			want = append([]gate.Replacement{{Name: "Cookie", Values: []string{"a=b"}}}, want...)
		}
		if diff := cmp.Diff(want, v.Edit.Replace); !v.Forward || v.Target != "/a?x=1" || diff != "" {
			t.Errorf("%s: %s, forwards %q\n%s", forwarding, v.Reason, v.Target, diff)
		}
		for _, name := range []string{"X-Token", "Authorization", "x_token"} {
			if got := v.Edit.Remove(name); got != (stripped || name == "x_token") {
				t.Errorf("%s: %s is removed: %v", forwarding, name, got)
			}
		}
	}
}

// A token counts as found in each place where it is: every issuer that takes it from one of them takes it.
func TestOneTokenInThePlacesOfTwoIssuers(t *testing.T) {
	t.Parallel()
	one, two := corp.Policy("corp"), corp.Policy("corp")
	two.From = []policy.TokenLocation{{Cookie: "session"}}
	rule := func(path string) []policy.Rule {
		return []policy.Rule{{Name: "all", Match: []policy.Match{{Paths: []string{path}}}, Allow: &policy.Allow{Authenticated: true}}}
	}
	g := newGate(t,
		gatetest.Policy("one", policy.Spec{Issuers: []policy.Issuer{one}, Rules: rule("/one")}),
		gatetest.Policy("two", policy.Spec{Issuers: []policy.Issuer{two}, Rules: rule("/two")}))
	tok := corp.Token(start, nil)
	header, cookie := bearer(tok), []string{"Cookie", "session=" + tok}
	for _, tt := range []struct {
		path   string
		fields []string
		want   decision.Reason
	}{
		{"/one", header, decision.Allowed}, {"/two", header, decision.NoRule},
		{"/one", cookie, decision.NoRule}, {"/two", cookie, decision.Allowed},
		{"/one", append(cookie, header...), decision.Allowed}, {"/two", append(cookie, header...), decision.Allowed},
		{"/one", cookie, decision.NoRule}, {"/two", header, decision.NoRule},
	} {
		if v := g.Judge(get(tt.path, tt.fields...)); v.Reason != tt.want {
			t.Errorf("%s with %q: got %s, want %s", tt.path, tt.fields[0], v.Reason, tt.want)
		}
	}
}

func TestPlaceOfAnotherIssuer(t *testing.T) {
	t.Parallel()
	spec := everywhere(policy.Keep)
	spec.Issuers = append(spec.Issuers, partner.Policy("partner")) // from Authorization only
	g := newGate(t, gatetest.Policy("orders", spec))
	v := g.Judge(get("/a", "X-Token", partner.Token(start, nil)))
	want := `the token is in the header X-Token; issuer partner takes it in the header Authorization after "Bearer "`
	if v.Reason != decision.WrongLocation || v.Cause.String() != want {
		t.Errorf("got %s, %v; want WrongLocation, %s", v.Reason, v.Cause, want)
	}
	if v := g.Judge(get("/a", bearer(partner.Token(start, nil))...)); !v.Forward {
		t.Errorf("got %s", v.Reason)
	}
}

// Two policies trust the same iss for other audiences, with rules of their own.
func TestIssuersOfOneName(t *testing.T) {
	t.Parallel()
	bills := corp.Policy("corp")
	bills.Audiences = []string{"bills"}
	g := newGate(t,
		gatetest.Policy("orders", policy.Spec{Issuers: []policy.Issuer{corp.Policy("corp")}, Rules: []policy.Rule{
			{Name: "orders", Match: []policy.Match{{Paths: []string{"/orders"}}}, Allow: &policy.Allow{Authenticated: true}}}}),
		gatetest.Policy("bills", policy.Spec{Issuers: []policy.Issuer{bills}, Rules: []policy.Rule{
			{Name: "bills", Match: []policy.Match{{Paths: []string{"/bills"}}}, Allow: &policy.Allow{Authenticated: true}}}}),
	)
	both := []string{"orders", "bills"}
	for _, tt := range []struct {
		aud    any
		target string
		want   decision.Reason
	}{
		{"orders", "/orders", decision.Allowed}, {"orders", "/bills", decision.NoRule},
		{"bills", "/bills", decision.Allowed}, {"bills", "/orders", decision.NoRule},
		{both, "/orders", decision.Allowed}, {both, "/bills", decision.Allowed},
		{"else", "/orders", decision.WrongAudience},
	} {
		tok := corp.Token(start, map[string]any{"aud": tt.aud})
		if v := g.Judge(get(tt.target, bearer(tok)...)); v.Reason != tt.want {
			t.Errorf("aud %v at %s: %s, want %s", tt.aud, tt.target, v.Reason, tt.want)
		}
	}
}

func TestCachedTokens(t *testing.T) {
	t.Parallel()
	now := start
	g := gate.New(gate.Options{Now: func() time.Time { return now }})
	open := policy.Spec{Issuers: []policy.Issuer{corp.Policy("corp")}, Rules: []policy.Rule{{Name: "all", Allow: &policy.Allow{Authenticated: true}}}}
	aged := open
	aged.Issuers = []policy.Issuer{corp.Policy("corp")}
	aged.Issuers[0].MaxAge = &policy.Duration{Duration: 10 * time.Minute}
	tok := corp.Token(start, map[string]any{"jti": "j1", "sid": "s1"})
	ask := func(want decision.Reason) {
		t.Helper()
		if v := g.Judge(get("/a", bearer(tok)...)); v.Reason != want {
			t.Errorf("at %v: %s, want %s", now.Sub(start), v.Reason, want)
		}
	}
	swap := func(spec policy.Spec, rev ...policy.Revocation) {
		g.Revoke(revoked.SetOf(rev...))
		g.Swap(gatetest.Snapshot(t, clock, gatetest.Policy("orders", spec)))
	}

	swap(open)
	ask(decision.Allowed)
	ask(decision.Allowed)
	if s := g.Snapshot().CacheStats(); s.Entries != 1 || s.Hits == 0 {
		t.Errorf("cache: %+v", s)
	}
	now = start.Add(time.Hour + 31*time.Second) // exp and skew
	ask(decision.Expired)

	now = start
	swap(aged)
	ask(decision.Allowed)
	now = start.Add(10*time.Minute + 31*time.Second)
	ask(decision.TooOld)

	now = start
	swap(open, policy.Revocation{Issuer: corp.URL, Entries: []policy.RevocationEntry{{Session: "s1"}}})
	ask(decision.Revoked)
	swap(open, policy.Revocation{Issuer: partner.URL, Entries: []policy.RevocationEntry{{Session: "s1"}}})
	ask(decision.Allowed)

	other := open
	other.Issuers = []policy.Issuer{gatetest.NewIssuer(corp.URL, "k2").Policy("corp")}
	swap(other) // the key is gone, though the verdict was cached
	ask(decision.UnknownKey)
}

func TestAuditPoliciesChangeNothing(t *testing.T) {
	t.Parallel()
	audited := orders()
	audited.Mode = policy.Audit
	only := newGate(t, gatetest.Policy("trial", audited))
	open := policy.Spec{Rules: []policy.Rule{{Name: "all", Allow: &policy.Allow{Anonymous: true}}}}
	beside := newGate(t, gatetest.Policy("open", open), gatetest.Policy("trial", audited))
	reader := corp.Token(start, map[string]any{"scope": "orders.read"})
	tests := map[string]struct {
		give *gate.Request
		want decision.AuditResult
	}{
		"a good token": {get("/orders/1", bearer(reader)...), decision.AuditResult{Policy: "shop/trial", Rule: "read", Allowed: true, Reason: decision.Allowed}},
		"no token":     {get("/orders/1"), decision.AuditResult{Policy: "shop/trial", Reason: decision.NoToken}},
		"a broken one": {get("/docs/1", bearer("x.y.z")...), decision.AuditResult{Policy: "shop/trial", Reason: decision.Malformed, Cause: decision.Because("the header is cut off: no base64url has this length")}},
		"denied":       {get("/orders/admin", bearer(reader)...), decision.AuditResult{Policy: "shop/trial", Rule: "no-admin", Reason: decision.DeniedByRule}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for which, g := range map[string]*gate.Gate{"only Audit": only, "beside Enforce": beside} {
				v := g.Judge(tt.give)
				if diff := cmp.Diff([]decision.AuditResult{tt.want}, v.Audit, byText); !v.Forward || diff != "" {
					t.Errorf("%s: forward %v, %s\n%s", which, v.Forward, v.Reason, diff)
				}
				if v.Edit.Remove("X-User") || v.Edit.Set.Len() > 0 {
					t.Errorf("%s: identity headers of an Audit policy were touched", which)
				}
			}
		})
	}
	v := only.Judge(get("/a//b/%2f?access_token=x"))
	if !v.Forward || v.Target != "/a//b/%2f?access_token=x" || v.Audit[0].Reason != decision.BadPath {
		t.Errorf("an odd path with only Audit policies: %+v", v)
	}
	if v := beside.Judge(get("/a//b/%2f")); v.Forward {
		t.Error("an odd path beside an Enforce policy was forwarded")
	}
}
