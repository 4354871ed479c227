package decision_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/decision/randompolicy"
)

// open is a policy with a place where nobody looks at a token.
const open = corp + `
rules:
- {name: all, allow: {authenticated: true}}
- {name: open, match: [{paths: ["/metrics/**"], methods: [GET]}], allow: {anonymous: true, ignoreToken: true}}
`

func TestIgnoreToken(t *testing.T) {
	t.Parallel()
	deny := func(conditions string) string {
		return corp + "rules: [{name: no, match: [{paths: [/metrics/secret]}], deny: {" + conditions + "}}]"
	}
	tests := map[string]struct {
		specs          []string
		line           string
		ignores, asked bool
		nobody         decision.Reason // of the request without a token
	}{
		"no rule ignores tokens":                      {[]string{corp + "rules: [{name: all, allow: {anonymous: true}}]"}, "GET /metrics", false, false, decision.Allowed},
		"the rule fits":                               {[]string{open}, "GET /metrics/a", true, false, decision.Allowed},
		"another path":                                {[]string{open}, "GET /", false, false, decision.NoToken},
		"another method":                              {[]string{open}, "PUT /metrics", false, false, decision.NoToken},
		"its condition holds without claims":          {[]string{`rules: [{name: r, allow: {anonymous: true, ignoreToken: true, when: '!has(claims.sub) && issuer == ""'}}]`}, "GET /", true, false, decision.Allowed},
		"its condition wants claims":                  {[]string{`rules: [{name: r, allow: {anonymous: true, ignoreToken: true, when: 'has(claims.sub)'}}]`}, "GET /", false, false, decision.NoToken},
		"its condition on the request holds":          {[]string{`rules: [{name: r, allow: {anonymous: true, ignoreToken: true, when: 'request.method == "GET"'}}]`}, "GET /", true, false, decision.Allowed},
		"its condition on the request does not hold":  {[]string{`rules: [{name: r, allow: {anonymous: true, ignoreToken: true, when: 'request.method == "PUT"'}}]`}, "GET /", false, false, decision.NoToken},
		"a deny rule of anybody":                      {[]string{open, deny("")}, "GET /metrics/secret", true, false, decision.DeniedByRule},
		"a deny rule of some":                         {[]string{open, deny("subjects: [ann]")}, "GET /metrics/secret", true, true, decision.Allowed},
		"a deny rule of CEL over the request":         {[]string{open, deny(`when: 'request.method == "GET"'`)}, "GET /metrics/secret", true, false, decision.DeniedByRule},
		"a deny rule of CEL over claims":              {[]string{open, deny(`when: 'claims.sub == "ann"'`)}, "GET /metrics/secret", true, true, decision.DeniedByRule},
		"an Audit policy's rule ignores nothing here": {[]string{corp, "mode: Audit" + open}, "GET /metrics", false, false, decision.NoToken},
		"an Audit policy's deny rule does not ask":    {[]string{open, "mode: Audit" + deny("subjects: [ann]")}, "GET /metrics/secret", true, false, decision.Allowed},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for range 2 {
				p := compile(t, tt.specs...)
				r := request(t, tt.line)
				d := decide(t, p, r, nil)
				if p.IgnoresToken(r) != tt.ignores || tt.ignores && p.DenyAsks() != tt.asked || d.Reason != tt.nobody ||
					d.TokenIgnored != (tt.ignores && d.Allowed) {
					t.Errorf("IgnoresToken %v, DenyAsks %v, without a token %s, ignored %v", p.IgnoresToken(r), p.DenyAsks(), d.Reason, d.TokenIgnored)
				}
				slices.Reverse(tt.specs)
			}
		})
	}
}

func TestIgnoreTokenLeavesDenyRulesTheirToken(t *testing.T) {
	t.Parallel()
	p := compile(t, open, corp+"rules: [{name: no-ann, deny: {subjects: [ann]}}]")
	for sub, want := range map[string]decision.Reason{"ann": decision.DeniedByRule, "bob": decision.Allowed} {
		s := p.Bind(claims(t, `{"sub":"`+sub+`"}`), verified(p, "shop/a"))
		if d := decide(t, p, request(t, "GET /metrics"), s); d.Reason != want || d.TokenIgnored != (want == decision.Allowed) {
			t.Errorf("%s: %+v, want %s", sub, d, want)
		}
	}
}

// TestIgnoreTokenNeverDependsOnTheToken decides with every kind of token: where a rule ignores it and no deny rule asks,
// the decision is that of a request without one.
func TestIgnoreTokenNeverDependsOnTheToken(t *testing.T) {
	t.Parallel()
	rnd := newRand(11)
	met := 0
	for range 400 {
		p, err := decision.Compile([]decision.Policy{
			{Namespace: "shop", Name: "a", Spec: *randompolicy.Spec(rnd, 12)}, {Namespace: "shop", Name: "b", Spec: *randompolicy.Spec(rnd, 12)},
		})
		if err != nil {
			t.Fatal(err)
		}
		for range 50 {
			r := randomRequest(rnd)
			if !p.IgnoresToken(r) {
				continue
			}
			without := decide(t, p, r, nil)
			s := p.Bind(randomClaims(t, rnd), decision.IssuerSet(1+rnd.Uint64N(15)))
			with := decide(t, p, r, s)
			without.Audit, with.Audit = nil, nil
			without.MaxBody, with.MaxBody = 0, 0 // another rule that fits may allow more
			without.Rule, with.Rule, without.Policy, with.Policy = "", "", "", ""
			if diff := cmp.Diff(without, with); !p.DenyAsks() && diff != "" {
				t.Fatalf("%s %s%s (-without +with):\n%s", r.Method, r.Host, r.Path, diff)
			}
			if !with.Allowed && with.Reason != decision.DeniedByRule {
				t.Fatalf("%s %s%s: %s", r.Method, r.Host, r.Path, with.Reason)
			}
			met++
		}
	}
	if met < 100 {
		t.Errorf("%d requests met such a rule: the property was not put to the test", met)
	}
}

func TestAuditRefused(t *testing.T) {
	t.Parallel()
	p := compile(t, corp+"rules: [{name: all, allow: {authenticated: true}}]", "mode: Audit"+open,
		"mode: Audit"+open+`- {name: never, match: [{paths: [/metrics/secret]}], deny: {}}`, "mode: Audit"+corp)
	say := func(a, b, c decision.AuditResult) []decision.AuditResult {
		a.Policy, b.Policy, c.Policy = "shop/b", "shop/c", "shop/d"
		return []decision.AuditResult{a, b, c}
	}
	expired := decision.AuditResult{Reason: decision.Expired}
	allowed := decision.AuditResult{Rule: "open", Allowed: true, Reason: decision.Allowed}
	denied := decision.AuditResult{Rule: "never", Reason: decision.DeniedByRule}
	for line, want := range map[string][]decision.AuditResult{
		"GET /": say(expired, expired, expired), "GET /metrics": say(allowed, allowed, expired), "GET /metrics/secret": say(allowed, denied, expired),
	} {
		if diff := cmp.Diff(want, p.AuditRefused(request(t, line), decision.Refusal{Reason: decision.Expired})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", line, diff)
		}
	}
}
