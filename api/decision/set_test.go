package decision_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/decision/randompolicy"
	"github.com/bearerguard/bearerguard/api/policy"
)

func TestAudit(t *testing.T) {
	t.Parallel()
	const enforce = corp + "rules: [{name: read, match: [{methods: [GET]}], allow: {authenticated: true}}]"
	const audit = "mode: Audit" + corp + "rules: [{name: no-ann, deny: {subjects: [ann]}}, {name: x, match: [{paths: [/x]}], allow: {scopes: [x]}}]"
	ann := claims(t, `{"sub":"ann"}`)
	bob := claims(t, `{"sub":"bob"}`)
	tests := map[string]struct {
		specs    []string
		line     string
		claims   decision.Claims
		verified string // ID of a policy whose issuers vouch for the token
		want     decision.Decision
	}{
		"no policies": {line: "GET /", want: decision.Decision{Reason: decision.NoPolicy}},
		"an Audit policy alone forwards what it would refuse": {specs: []string{audit}, line: "GET /",
			want: decision.Decision{Allowed: true, Reason: decision.AuditOnly,
				Audit: []decision.AuditResult{{Policy: "shop/a", Reason: decision.NoToken}}}},
		"an Audit policy alone names its rule": {specs: []string{audit}, line: "GET /", claims: ann, verified: "shop/a",
			want: decision.Decision{Allowed: true, Reason: decision.AuditOnly,
				Audit: []decision.AuditResult{{Policy: "shop/a", Rule: "no-ann", Reason: decision.DeniedByRule}}}},
		"an Audit policy's deny changes nothing": {specs: []string{enforce, audit}, line: "GET /", claims: ann, verified: "shop/a",
			want: decision.Decision{Allowed: true, Reason: decision.Allowed, Policy: "shop/a", Rule: "read",
				Audit: []decision.AuditResult{{Policy: "shop/b", Reason: decision.UnknownIssuer}}}},
		"an Audit policy's allow opens nothing": {specs: []string{enforce, "mode: Audit\nrules: [{name: all, allow: {anonymous: true}}]"}, line: "GET /",
			want: decision.Decision{Reason: decision.NoToken,
				Audit: []decision.AuditResult{{Policy: "shop/b", Rule: "all", Allowed: true, Reason: decision.Allowed}}}},
		"a token that only an Audit policy knows is none to the others": {specs: []string{enforce, audit}, line: "GET /x", claims: bob, verified: "shop/b",
			want: decision.Decision{Reason: decision.UnknownIssuer,
				Audit: []decision.AuditResult{{Policy: "shop/b", Rule: "x", Reason: decision.InsufficientScope}}}},
		"a token that only an Audit policy knows closes no anonymous path": {
			specs: []string{"rules: [{name: all, allow: {anonymous: true}}]", audit}, line: "GET /", claims: ann, verified: "shop/b",
			want: decision.Decision{Allowed: true, Reason: decision.Allowed, Policy: "shop/a", Rule: "all",
				Audit: []decision.AuditResult{{Policy: "shop/b", Rule: "no-ann", Reason: decision.DeniedByRule}}}},
		"several Audit policies speak for themselves": {specs: []string{audit, "mode: Audit\nrules: [{name: all, allow: {anonymous: true}}]", "mode: Audit"}, line: "GET /",
			want: decision.Decision{Allowed: true, Reason: decision.AuditOnly, Audit: []decision.AuditResult{
				{Policy: "shop/a", Reason: decision.NoToken},
				{Policy: "shop/b", Rule: "all", Allowed: true, Reason: decision.Allowed},
				{Policy: "shop/c", Reason: decision.NoToken}}}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := compile(t, test.specs...)
			var s *decision.Subject
			if test.claims != nil {
				s = p.Bind(test.claims, verified(p, test.verified))
			}
			if diff := cmp.Diff(test.want, decide(t, p, request(t, test.line), s)); diff != "" {
				t.Errorf("Decide (-want +got):\n%s", diff)
			}
		})
	}
}

// TestTrustStaysInItsPolicy holds that what one team trusts opens nothing of another team's.
func TestTrustStaysInItsPolicy(t *testing.T) {
	t.Parallel()
	const other = "issuers: [{name: own, issuer: https://own.example, audiences: [x], keys: {kubernetes: {}}}]\n"
	tests := map[string]struct {
		rules   string
		allowed bool
	}{
		"a token rule":                        {rules: "{name: r, allow: {authenticated: true}}"},
		"a rule on claims":                    {rules: "{name: r, allow: {claims: [{claim: sub, equals: ann}]}}"},
		"a rule of CEL":                       {rules: "{name: r, allow: {when: 'claims.sub == \"ann\"'}}"},
		"an anonymous rule sees no claims":    {rules: "{name: r, allow: {anonymous: true, when: 'claims.sub == \"ann\"'}}"},
		"an anonymous rule sees no issuer":    {rules: "{name: r, allow: {anonymous: true, when: 'issuer != \"\"'}}"},
		"an anonymous rule, per request":      {rules: "{name: r, allow: {anonymous: true, when: 'request.method == claims.sub || claims.sub == \"ann\"'}}"},
		"an anonymous rule that asks nothing": {rules: "{name: r, allow: {anonymous: true}}", allowed: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := compile(t, corp, other+"rules: ["+test.rules+"]")
			s := p.Bind(claims(t, `{"iss":"https://corp.example","sub":"ann"}`), verified(p, "shop/a"))
			if d := decide(t, p, request(t, "GET /"), s); d.Allowed != test.allowed {
				t.Errorf("%s; want allowed: %v", d.Reason, test.allowed)
			}
		})
	}
	p := compile(t, corp+"rules: [{name: all, allow: {authenticated: true}}]", other+"rules: [{name: no-ann, deny: {subjects: [ann]}}]")
	s := p.Bind(claims(t, `{"sub":"ann"}`), verified(p, "shop/a"))
	if d := decide(t, p, request(t, "GET /"), s); d.Reason != decision.DeniedByRule {
		t.Errorf("a deny rule takes every verified token into account: %s", d.Reason)
	}
}

func TestDenyOnMissingToken(t *testing.T) {
	t.Parallel()
	for _, condition := range []string{
		"issuers: [corp]", "subjects: [ann]", "scopes: [a]", "claims: [{claim: x, exists: false}]", "claims: [{claim: x, noneOf: [a]}]",
	} {
		p := compile(t, corp+"rules: [{name: all, allow: {anonymous: true}}, {name: r, deny: {"+condition+"}}]")
		if d := decide(t, p, request(t, "GET /"), nil); !d.Allowed {
			t.Errorf("deny {%s} without a token: %s", condition, d.Reason)
		}
	}
	for _, condition := range []string{"", "when: 'claims.sub == \"ann\"'", "when: '!has(claims.sub)'"} {
		p := compile(t, corp+"rules: [{name: all, allow: {anonymous: true}}, {name: r, deny: {"+condition+"}}]")
		if d := decide(t, p, request(t, "GET /"), nil); d.Reason != decision.DeniedByRule {
			t.Errorf("deny {%s} without a token: %s", condition, d.Reason)
		}
	}
}

// teams are policies that overlap, for properties.
func teams() []string {
	return []string{
		corp + `
rules:
- {name: z-read, match: [{paths: ["/a/**"], methods: [GET]}, {paths: ["/b/{x}"]}], allow: {scopes: [read]}}
- {name: a-read, match: [{paths: ["/a/*"]}], allow: {issuers: [corp], claims: [{claim: roles, anyOf: [r1]}]}}
- {name: own, match: [{paths: ["/b/{x}"]}], allow: {when: 'path.x == claims.sub', scopes: [own]}}
- {name: log-in, match: [{paths: ["/a/b"]}], allow: {authentication: {acr: [strong], maxAge: 1h}, scopes: [own]}}
- {name: no, match: [{hosts: ["*.example"], methods: [DELETE]}], deny: {claims: [{claim: roles, noneOf: [r2]}]}}
`, corp + `
rules:
- {name: public, match: [{paths: ["/a/x", "/"], methods: [GET]}], allow: {anonymous: true}}
- {name: header, match: [{headers: [{name: X-A, values: [a]}]}], allow: {subjects: [ann]}}
- {name: mallory, deny: {subjects: [mallory]}}
- {name: open, match: [{paths: ["/a/ann/**"]}], allow: {anonymous: true, ignoreToken: true}}
- {name: night, match: [{ports: [8081]}], deny: {when: 'request.headers["x-a"] == "b"'}}
`, "mode: Audit" + corp + `
rules:
- {name: all, allow: {authenticated: true}}
- {name: not-b, match: [{paths: ["/b/**"]}], deny: {}}
`, "mode: Audit\nrules: [{name: x, match: [{methods: [GET]}], allow: {anonymous: true}}]",
	}
}

func randomTeamRequest(t testing.TB, rnd *rand.Rand) *decision.Request {
	r := randomRequest(rnd)
	r.Path = randompolicy.Path(rnd, []string{"a", "b", "x", "ann"}, []string{"", "/"})
	with := request(t, "GET /", [][]string{nil, {"X-A: a"}, {"X-A: b"}, {"X-A: a", "X-A: b"}}[rnd.IntN(4)]...)
	r.Header, r.Now, r.Remote = with.Header, with.Now, with.Remote
	return r
}

func randomClaims(t testing.TB, rnd *rand.Rand) decision.Claims {
	one := func(from ...string) string { return from[rnd.IntN(len(from))] }
	return claims(t, fmt.Sprintf(`{"sub":%q,"scope":%q,"roles":[%q],"n":%s,"acr":%q,"auth_time":%d%s}`,
		one("ann", "mallory", "x"), one("read", "own", "read own", ""), one("r1", "r2", "r3"), one("7", "0", "1.5"),
		one("weak", "strong"), time.Date(2026, 11, 25, 5, 30-rnd.IntN(90), 0, 0, time.UTC).Unix(),
		one("", `,"act":{"sub":"gw"}`, `,"act":{"sub":"gw","iss":"https://other.example","act":{"sub":"x"}}`, `,"act":7`)))
}

// TestOrderNeverMatters shuffles policies and rules and wants the very same decisions.
func TestOrderNeverMatters(t *testing.T) {
	t.Parallel()
	rnd := newRand(1)
	var policies []decision.Policy
	for i, spec := range teams() {
		policies = append(policies, parse(t, string(rune('a'+i)), spec))
	}
	p, err := decision.Compile(policies)
	if err != nil {
		t.Fatal(err)
	}
	reasons := make(map[decision.Reason]int)
	for range 50 {
		shuffled := slices.Clone(policies)
		rnd.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		for i := range shuffled {
			rules := slices.Clone(shuffled[i].Spec.Rules)
			rnd.Shuffle(len(rules), func(i, j int) { rules[i], rules[j] = rules[j], rules[i] })
			shuffled[i].Spec.Rules = rules
		}
		q, err := decision.Compile(shuffled)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(p.Issuers(), q.Issuers()); diff != "" {
			t.Fatalf("Issuers (-sorted +shuffled):\n%s", diff)
		}
		for range 100 {
			r, c, by := randomTeamRequest(t, rnd), randomClaims(t, rnd), decision.IssuerSet(rnd.Uint64N(64))
			var s, sq *decision.Subject
			if rnd.IntN(5) > 0 {
				s, sq = p.Bind(c, by), q.Bind(c, by)
			}
			d := decide(t, p, r, s)
			reasons[d.Reason]++
			if diff := cmp.Diff(d, decide(t, q, r, sq)); diff != "" {
				t.Fatalf("%s %s%s (-sorted +shuffled):\n%s", r.Method, r.Host, r.Path, diff)
			}
		}
	}
	for _, reason := range []decision.Reason{decision.Allowed, decision.DeniedByRule, decision.NoRule, decision.NoToken,
		decision.InsufficientScope, decision.InsufficientAuthentication, decision.UnknownIssuer} {
		if reasons[reason] == 0 {
			t.Errorf("no request met %s: the property was not put to the test (%v)", reason, reasons)
		}
	}
}

// TestMorePoliciesNeverUndoADeny adds the policies one by one: what a set denies, a larger set denies.
func TestMorePoliciesNeverUndoADeny(t *testing.T) {
	t.Parallel()
	rnd := newRand(3)
	small, large := compile(t, teams()[0]), compile(t, teams()...)
	for range 2000 {
		r, c := randomTeamRequest(t, rnd), randomClaims(t, rnd)
		by := decision.IssuerSet(rnd.Uint64N(4))
		before := small.Decide(r, small.Bind(c, by))
		after := large.Decide(r, large.Bind(c, by))
		if before.Reason == decision.DeniedByRule && after.Reason != decision.DeniedByRule {
			t.Fatalf("%s %s%s: denied, then %s", r.Method, r.Host, r.Path, after.Reason)
		}
		if before.Allowed && !after.Allowed && after.Reason != decision.DeniedByRule {
			t.Fatalf("%s %s%s: allowed, then %s", r.Method, r.Host, r.Path, after.Reason)
		}
	}
}

func TestExplainIsReadable(t *testing.T) {
	t.Parallel()
	p := compile(t, corp+`
rules:
- {name: read, match: [{paths: ["/orders"], methods: [GET]}, {paths: ["/o/{x}"]}], allow: {issuers: [corp], claims: [{claim: roles, anyOf: [reader]}], scopes: [read]}}
- {name: own, match: [{paths: ["/o/{x}"]}], allow: {when: 'path.x == claims.sub'}}
`)
	e := p.Explain(request(t, "GET /o/bob"), p.Bind(claims(t, `{"sub":"canary","roles":["canary"]}`), 1))
	want := []decision.RuleReport{
		{Policy: "shop/a", Rule: "own", Effect: "Allow", Matches: true, Conditions: []decision.ConditionReport{
			{Field: "spec.rules[1].allow.issuers", Holds: true},
			{Field: "spec.rules[1].allow.when", Problem: "the expression is false"}}},
		{Policy: "shop/a", Rule: "read", Effect: "Allow", Matches: true, Conditions: []decision.ConditionReport{
			{Field: "spec.rules[0].allow.issuers", Holds: true},
			{Field: "spec.rules[0].allow.claims[0]", Problem: "the claim roles does not satisfy anyOf"},
			{Field: "spec.rules[0].allow.scopes", Problem: "the token lacks scopes"}}},
	}
	if diff := cmp.Diff(want, e.Rules); diff != "" {
		t.Errorf("Rules (-want +got):\n%s", diff)
	}
	text, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "canary") {
		t.Errorf("%s holds a claim value", text)
	}
	e = p.Explain(request(t, "PUT /orders"), nil)
	if diff := cmp.Diff([]string{"spec.rules[0].match[0].methods", "spec.rules[0].match[1].paths"}, e.Rules[1].Mismatches); diff != "" {
		t.Errorf("Mismatches (-want +got):\n%s", diff)
	}
}

// TestManyAuditPolicies has more groups of rules, and more rules, than fit the places kept ready for them.
func TestManyAuditPolicies(t *testing.T) {
	t.Parallel()
	specs := []string{"rules: [" + many(130, "{name: r%d, match: [{paths: ['/r/*']}], allow: {anonymous: true}}") + "]"}
	want := decision.Decision{Reason: decision.NoToken}
	for i := range 9 {
		specs = append(specs, fmt.Sprintf("mode: Audit\nrules: [%s]",
			many(70, fmt.Sprintf("{name: r%%d, match: [{paths: ['/audit%d/{x}']}], allow: {anonymous: true}}", i))))
		want.Audit = append(want.Audit, decision.AuditResult{Policy: "shop/" + string(rune('b'+i)), Reason: decision.NoToken})
	}
	p := compile(t, specs...)
	want.Audit[7] = decision.AuditResult{Policy: "shop/i", Rule: "r0", Allowed: true, Reason: decision.Allowed}
	if diff := cmp.Diff(want, decide(t, p, request(t, "GET /audit7/x"), nil)); diff != "" {
		t.Errorf("Decide (-want +got):\n%s", diff)
	}
}

func TestProgramSettings(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		specs     []string
		paths     decision.PathOptions
		enforcing bool
		closes    bool
	}{
		"no policies":                         {},
		"one that keeps slashes":              {specs: []string{"{}", "paths: {encodedSlash: Keep}"}, paths: decision.PathOptions{Slash: policy.KeepEncodedSlash}, enforcing: true},
		"an Audit policy that keeps slashes":  {specs: []string{"{}", "mode: Audit\npaths: {encodedSlash: Keep}"}, enforcing: true},
		"streams end with their token":        {specs: []string{"{}", "streams: {onExpiry: Close}"}, enforcing: true, closes: true},
		"streams of an Audit policy go on":    {specs: []string{"streams: {onExpiry: Keep}", "mode: Audit\nstreams: {onExpiry: Close}"}, enforcing: true},
		"paths as they were sent":             {specs: []string{"paths: {forward: AsSent}", "paths: {forward: AsSent}"}, paths: decision.PathOptions{AsSent: true}, enforcing: true},
		"one of two wants them as sent":       {specs: []string{"paths: {forward: AsSent}", "paths: {forward: Canonical}"}, enforcing: true},
		"the other of two does":               {specs: []string{"{}", "paths: {forward: AsSent}"}, enforcing: true},
		"an Audit policy has no say in that":  {specs: []string{"paths: {forward: AsSent}", "mode: Audit"}, paths: decision.PathOptions{AsSent: true}, enforcing: true},
		"an Audit policy that wants them":     {specs: []string{"{}", "mode: Audit\npaths: {forward: AsSent}"}, enforcing: true},
		"an Audit policy alone":               {specs: []string{"mode: Audit"}},
		"Enforce is the default":              {specs: []string{"{}"}, enforcing: true},
		"Enforce by name, slashes by default": {specs: []string{"mode: Enforce\npaths: {}"}, enforcing: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := compile(t, test.specs...)
			if p.PathOptions() != test.paths || p.Enforcing() != test.enforcing || p.CloseOnExpiry() != test.closes {
				t.Errorf("PathOptions %+v, Enforcing %v, CloseOnExpiry %v", p.PathOptions(), p.Enforcing(), p.CloseOnExpiry())
			}
		})
	}
	var set decision.IssuerSet
	if set = set.With(3).With(63).With(64).With(-1); !set.Has(3) || !set.Has(63) || set.Has(4) || set.Has(64) || set.Has(-1) {
		t.Errorf("set %b", set)
	}
}
