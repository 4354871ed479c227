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

func TestNoRefusalComesOfATokenThatIsIgnored(t *testing.T) {
	t.Parallel()
	asked := 0
	g := gate.New(gate.Options{Now: clock, OnUnknownKey: func(string) (time.Duration, bool) { asked++; return 0, false }})
	lost := corp.Token(start, map[string]any{"jti": "lost"})
	spec := orders()
	spec.Issuers[0].From = []policy.TokenLocation{{Header: "Authorization", Prefix: "Bearer "}, {Cookie: "session"}}
	g.Revoke(revoked.SetOf(policy.Revocation{Issuer: corp.URL, Entries: []policy.RevocationEntry{{JTI: "lost"}}}))
	g.Swap(gatetest.Snapshot(t, clock,
		gatetest.Policy("orders", spec)))
	good := corp.Token(start, nil)
	for name, headers := range map[string][]string{
		"none":                    nil,
		"an opaque one":           bearer("opaque123"),
		"a scheme without one":    {"Authorization", "Bearer "},
		"a stranger's":            bearer(partner.Token(start, nil)),
		"an expired one":          bearer(corp.Token(start.Add(-2*time.Hour), nil)),
		"a forged one":            bearer(forged(good)),
		"a revoked one":           bearer(lost),
		"one of an unknown key":   bearer(gatetest.NewIssuer(corp.URL, "k2").Token(start, nil)),
		"one in two places":       append(bearer(good), "Cookie", "session="+good),
		"a good one":              bearer(good),
		"one of too many bytes":   bearer(string(make([]byte, 20_000))),
		"another scheme's":        {"Authorization", "Basic YTpi"},
		"a client's own identity": {"X-User", "root"},
	} {
		v := g.Judge(get("/metrics", headers...))
		if !v.Forward || v.Reason != decision.Allowed || v.Rule != "metrics" || !v.TokenIgnored {
			t.Errorf("%s: forwarded %v, %s by %q", name, v.Forward, v.Reason, v.Rule)
		}
		if v.Edit.Set.Len() > 0 || v.Issuer+v.Subject+v.KeyID != "" || !v.Edit.Remove("x_user") || v.Edit.Remove("Authorization") {
			t.Errorf("%s: the app is told of somebody: %+v", name, v)
		}
	}
	if asked > 0 || g.CacheStats().Misses > 0 {
		t.Errorf("a token was looked at: keys asked for %d times, %+v", asked, g.CacheStats())
	}
	if v := g.Judge(get("/metrics", append(bearer(good), bearer(good)...)...)); v.Reason != decision.DuplicateAuthorization {
		t.Errorf("Authorization that comes twice is malformed wherever it goes: %s", v.Reason)
	}
	if v := g.Judge(get("/docs/a", bearer("opaque123")...)); v.Reason != decision.Malformed {
		t.Errorf("another anonymous rule: %s", v.Reason)
	}
}

func TestAnIgnoredTokenIsNoWayAroundADenyRule(t *testing.T) {
	t.Parallel()
	other := policy.Spec{
		Issuers: []policy.Issuer{corp.Policy("corp")},
		Rules:   []policy.Rule{{Name: "no-mallory", Deny: &policy.Conditions{Subjects: []string{"mallory"}}}},
	}
	g := newGate(t, gatetest.Policy("orders", orders()), gatetest.Policy("bans", other))
	mallory := func(at time.Time) []string { return bearer(corp.Token(at, map[string]any{"sub": "mallory"})) }
	for name, tt := range map[string]struct {
		headers []string
		want    decision.Reason
	}{
		"who is denied":                  {mallory(start), decision.DeniedByRule},
		"who is not":                     {bearer(corp.Token(start, nil)), decision.Allowed},
		"whose token has expired":        {mallory(start.Add(-2 * time.Hour)), decision.Allowed},
		"whose token is a stranger's":    {bearer(partner.Token(start, nil)), decision.Allowed},
		"whose token is none":            {bearer("opaque"), decision.Allowed},
		"who has none, as anybody could": {nil, decision.Allowed},
	} {
		v := g.Judge(get("/metrics", tt.headers...))
		if v.Reason != tt.want || v.Edit.Set.Len() > 0 || v.TokenIgnored != v.Forward {
			t.Errorf("%s: %s, want %s; identity %v", name, v.Reason, tt.want, fieldsOf(v))
		}
	}
}

func TestAnIgnoredTokenIsStrippedUnverified(t *testing.T) {
	t.Parallel()
	type want struct {
		target, answer string
		replace        map[string][]string
	}
	tests := map[string]struct {
		forwarding policy.TokenForwarding
		give       *gate.Request
		want       want
	}{
		"kept":                              {policy.Keep, get("/a", "X-Token", "opaque", "Cookie", "session=x"), want{target: "/a"}},
		"a header is stripped":              {policy.Strip, get("/a", "X-Token", "opaque"), want{target: "/a", replace: map[string][]string{"X-Token": nil}}},
		"a header and a cookie":             {policy.Strip, get("/a", "X-Token", "opaque", "Cookie", "session=x; b=c"), want{target: "/a", replace: map[string][]string{"X-Token": nil, "Cookie": {"b=c"}}}},
		"a header that comes twice":         {policy.Strip, get("/a", "X-Token", "a", "X-Token", "b"), want{target: "/a", replace: map[string][]string{"X-Token": nil}}},
		"a parameter is always cut out":     {policy.Keep, get("/a?access_token=x&b=c&access_token=y"), want{target: "/a?b=c"}},
		"a subprotocol is always cut out":   {policy.Keep, get("/a", "Sec-Websocket-Protocol", "bearer, x, chat"), want{target: "/a", replace: map[string][]string{"Sec-Websocket-Protocol": {"chat"}}}},
		"a subprotocol alone gets answered": {policy.Keep, get("/a", "Sec-Websocket-Protocol", "bearer, x"), want{"/a", "bearer", map[string][]string{"Sec-Websocket-Protocol": nil}}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec := everywhere(tt.forwarding)
			spec.Rules[0].Allow = &policy.Allow{Anonymous: true, IgnoreToken: true}
			v := newGate(t, gatetest.Policy("orders", spec)).Judge(tt.give)
			got := want{target: v.Target, answer: v.Edit.AnswerProtocol}
			for _, r := range v.Edit.Replace {
				if got.replace == nil {
					got.replace = map[string][]string{}
				}
				got.replace[r.Name] = r.Values
			}
			if v.Edit.Remove("X-Token") {
				if got.replace == nil {
					got.replace = map[string][]string{}
				}
				got.replace["X-Token"] = nil
			}
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(want{})); !v.Forward || diff != "" {
				t.Errorf("%s\n%s", v.Reason, diff)
			}
		})
	}
}

func TestAnAuditPolicyThatIgnoresTokensSaysSo(t *testing.T) {
	t.Parallel()
	audit := orders()
	audit.Mode = policy.Audit
	enforce := orders()
	enforce.Rules = enforce.Rules[:1]
	g := newGate(t, gatetest.Policy("orders", enforce), gatetest.Policy("trial", audit))
	v := g.Judge(get("/metrics", bearer("opaque")...))
	if v.Forward || v.Reason != decision.Malformed || len(v.Audit) != 1 || !v.Audit[0].Allowed || v.Audit[0].Rule != "metrics" {
		t.Errorf("%s, audit %+v; want Malformed, and the trial to allow it", v.Reason, v.Audit)
	}
}
