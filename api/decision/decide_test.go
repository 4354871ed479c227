package decision_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bearerguard/bearerguard/api/decision"
)

// checkExplain fails unless Explain comes to the same decision for reasons that bear it out.
func checkExplain(t testing.TB, p *decision.Program, r *decision.Request, s *decision.Subject, d decision.Decision) {
	t.Helper()
	checkPool(t, p, r, s, d)
	e := p.Explain(r, s)
	if diff := cmp.Diff(d, e.Decision); diff != "" {
		t.Errorf("Explain decides otherwise (-Decide +Explain):\n%s", diff)
	}
	checkNearest(t, p, r, s, e)
	var allows, denies bool
	var bodies []int64
	for _, rule := range e.Rules {
		holds := rule.Matches
		for _, c := range rule.Conditions {
			holds = holds && c.Holds
			if c.Holds == (c.Problem != "") {
				t.Errorf("%s: Holds is %v and Problem %q", c.Field, c.Holds, c.Problem)
			}
		}
		if holds != rule.Fits {
			t.Errorf("rule %s: Fits is %v, match and conditions say %v", rule.Rule, rule.Fits, holds)
		}
		if rule.Matches == (len(rule.Mismatches) > 0) {
			t.Errorf("rule %s: Matches is %v with mismatches %q", rule.Rule, rule.Matches, rule.Mismatches)
		}
		if !rule.Audit && rule.Fits {
			if rule.Effect == "Allow" {
				allows = true
				bodies = append(bodies, rule.MaxBody)
			}
			denies = denies || rule.Effect == "Deny"
		}
	}
	if want := largest(bodies); d.Allowed && p.Enforcing() && d.MaxBody != want || !d.Allowed && d.MaxBody != 0 {
		t.Errorf("MaxBody %d; the allow rules that fit have %v", d.MaxBody, bodies)
	}
	if p.Enforcing() && d.Allowed && (denies || !allows) {
		t.Errorf("allowed with fitting allow rules: %v, fitting deny rules: %v", allows, denies)
	}
	if denies != (d.Reason == decision.DeniedByRule) && d.Reason != decision.BadPath && d.Reason != decision.InternalError {
		t.Errorf("reason %s with fitting deny rules: %v", d.Reason, denies)
	}
}

// checkNearest fails unless the rule that came nearest is one that the report bears out.
func checkNearest(t testing.TB, p *decision.Program, r *decision.Request, s *decision.Subject, e decision.Explanation) {
	t.Helper()
	n := e.Nearest
	if diff := cmp.Diff(n, p.Nearest(r, s)); diff != "" {
		t.Errorf("Nearest differs (-Explain +Nearest):\n%s", diff)
	}
	d := e.Decision
	due := p.Enforcing() && slices.Contains([]decision.Reason{decision.NoRule, decision.NoToken, decision.InsufficientScope,
		decision.InsufficientAuthentication}, d.Reason)
	if due != (n != nil) {
		t.Fatalf("%s has the nearest rule %+v", d.Reason, n)
	}
	if n == nil || n.Rule == "" {
		return
	}
	i := slices.IndexFunc(e.Rules, func(rule decision.RuleReport) bool { return rule.Policy == n.Policy && rule.Rule == n.Rule })
	if i < 0 || e.Rules[i].Fits || e.Rules[i].Audit || e.Rules[i].Effect != "Allow" {
		t.Fatalf("the rule nearest to a refusal with %s is %+v", d.Reason, n)
	}
	if d.Reason == decision.InsufficientScope && (d.Policy != n.Policy || d.Rule != n.Rule || !strings.HasSuffix(n.Failed, ".allow.scopes")) {
		t.Errorf("rule %s lacks scopes, %s of %s is nearest", d.Rule, n.Failed, n.Rule)
	}
	if d.Reason == decision.InsufficientAuthentication && (d.Policy != n.Policy || d.Rule != n.Rule || !strings.Contains(n.Failed, ".allow.authentication.")) {
		t.Errorf("rule %s wants another log-in, %s of %s is nearest", d.Rule, n.Failed, n.Rule)
	}
	failed := slices.ContainsFunc(e.Rules[i].Conditions, func(c decision.ConditionReport) bool {
		return c.Field == n.Failed && c.Problem == n.Problem && !c.Holds
	})
	if !failed && !slices.Contains(e.Rules[i].Mismatches, n.Failed) {
		t.Errorf("%s of rule %s is not among what failed: %+v", n.Failed, n.Rule, e.Rules[i])
	}
}

// largest returns the largest body; one that is 0 has no limit.
func largest(bodies []int64) int64 {
	if len(bodies) == 0 || slices.Contains(bodies, 0) {
		return 0
	}
	return slices.Max(bodies)
}

func TestDecide(t *testing.T) {
	t.Parallel()
	const spec = corp + `
rules:
- name: docs
  match: [{paths: ["/docs/**", "/healthz"], methods: [GET, HEAD]}]
  allow: {anonymous: true}
- name: read
  match: [{paths: ["/orders", "/orders/{id}"], methods: [GET]}]
  allow:
    issuers: [corp]
    scopes: [orders.read]
    claims: [{claim: realm_access.roles, anyOf: [reader, admin]}]
- name: own
  match: [{paths: ["/users/{user}/**"]}]
  allow: {when: 'path.user == claims.sub'}
- name: any-token
  match: [{paths: [/me]}]
  allow: {authenticated: true}
- name: banned
  deny: {subjects: [mallory]}
- name: no-delete-at-night
  match: [{methods: [DELETE]}]
  deny: {when: 'now.getHours() < 6'}
`
	p := compile(t, spec)
	reader := claims(t, `{"iss":"https://corp.example","sub":"ann","scope":"x orders.read","realm_access":{"roles":["reader"]}}`)
	noScope := claims(t, `{"iss":"https://corp.example","sub":"ann","realm_access":{"roles":["reader"]}}`)
	mallory := claims(t, `{"iss":"https://corp.example","sub":"mallory","scope":"orders.read","realm_access":{"roles":["admin"]}}`)
	const corpBit, partnerBit = 1, 2
	tests := map[string]struct {
		line   string
		claims decision.Claims
		by     decision.IssuerSet
		want   decision.Decision
	}{
		"an anonymous path needs no token": {line: "GET /docs/a/b",
			want: decision.Decision{Allowed: true, Reason: decision.Allowed, Policy: "shop/a", Rule: "docs"}},
		"an anonymous path takes a token": {line: "GET /healthz", claims: reader, by: corpBit,
			want: decision.Decision{Allowed: true, Reason: decision.Allowed, Policy: "shop/a", Rule: "docs"}},
		"another method is not anonymous":    {line: "POST /docs/a", want: decision.Decision{Reason: decision.NoToken}},
		"methods have case":                  {line: "get /docs/a", want: decision.Decision{Reason: decision.NoToken}},
		"a protected path needs a token":     {line: "GET /orders", want: decision.Decision{Reason: decision.NoToken}},
		"an unknown path without a token":    {line: "GET /nowhere", want: decision.Decision{Reason: decision.NoToken}},
		"an unknown path with a token":       {line: "GET /nowhere", claims: reader, by: corpBit, want: decision.Decision{Reason: decision.NoRule}},
		"a token of the wrong issuer":        {line: "GET /orders/7", claims: reader, by: partnerBit, want: decision.Decision{Reason: decision.NoRule}},
		"claims that no issuer vouches for":  {line: "GET /docs/a", claims: reader, want: decision.Decision{Reason: decision.UnknownIssuer}},
		"a path below a template that ends":  {line: "GET /orders/7/x", claims: reader, by: corpBit, want: decision.Decision{Reason: decision.NoRule}},
		"a capture is not the empty segment": {line: "GET /orders/", claims: reader, by: corpBit, want: decision.Decision{Reason: decision.NoRule}},
		"the right token": {line: "GET /orders/7", claims: reader, by: corpBit,
			want: decision.Decision{Allowed: true, Reason: decision.Allowed, Policy: "shop/a", Rule: "read"}},
		"only a scope is missing": {line: "GET /orders", claims: noScope, by: corpBit,
			want: decision.Decision{Reason: decision.InsufficientScope, Policy: "shop/a", Rule: "read", Scopes: []string{"orders.read"}}},
		"one's own profile": {line: "GET /users/ann/x", claims: reader, by: partnerBit,
			want: decision.Decision{Allowed: true, Reason: decision.Allowed, Policy: "shop/a", Rule: "own"}},
		"another's profile":         {line: "GET /users/bob/x", claims: reader, by: corpBit, want: decision.Decision{Reason: decision.NoRule}},
		"a profile without a token": {line: "GET /users/ann/x", want: decision.Decision{Reason: decision.NoToken}},
		"any token of the policy": {line: "GET /me", claims: noScope, by: partnerBit,
			want: decision.Decision{Allowed: true, Reason: decision.Allowed, Policy: "shop/a", Rule: "any-token"}},
		"deny beats allow": {line: "GET /orders", claims: mallory, by: corpBit,
			want: decision.Decision{Reason: decision.DeniedByRule, Policy: "shop/a", Rule: "banned"}},
		"deny by time, without a token": {line: "DELETE /orders",
			want: decision.Decision{Reason: decision.DeniedByRule, Policy: "shop/a", Rule: "no-delete-at-night"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var s *decision.Subject
			if test.claims != nil {
				s = p.Bind(test.claims, test.by)
			}
			if diff := cmp.Diff(test.want, decide(t, p, request(t, test.line), s)); diff != "" {
				t.Errorf("Decide (-want +got):\n%s", diff)
			}
		})
	}
}
