package decision_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bearerguard/bearerguard/api/decision"
)

func TestNearest(t *testing.T) {
	t.Parallel()
	p := compile(t, corp+`
rules:
- {name: buy, match: [{paths: ["/orders"], methods: [POST]}], allow: {issuers: [corp], claims: [{claim: realm.roles, anyOf: [buyer]}, {claim: mfa, equals: "true"}], scopes: [orders.write]}}
- {name: buy-anything, match: [{paths: ["/orders"], methods: [POST]}], allow: {subjects: [root], scopes: [all]}}
- {name: items, match: [{paths: ["/orders/{id}/items"], methods: [GET]}, {paths: ["/orders/{id}/items"], hosts: [other.example]}], allow: {authenticated: true}}
- {name: one, match: [{paths: ["/orders/{id}"], methods: [GET], headers: [{name: X-Tenant, exists: true}]}], allow: {authenticated: true}}
- {name: own, match: [{paths: ["/users/{id}"]}], allow: {when: 'path.id == claims.sub'}}
- {name: office, match: [{paths: ["/office/**"]}], allow: {anonymous: true, when: 'request.remoteIP == "192.0.2.1"'}}
- {name: in-order, match: [{paths: ["/same"]}], allow: {subjects: [a]}}
- {name: in-order-too, match: [{paths: ["/same"]}], allow: {subjects: [b]}}
- {name: pay, match: [{paths: ["/pay"]}], allow: {scopes: [pay], authentication: {acr: [strong], maxAge: 5m}}}
- {name: list, match: [{paths: ["/list"]}], allow: {scopes: [list]}}
- {name: list-all, match: [{paths: ["/list"]}], allow: {issuers: [corp], claims: [{claim: a, exists: true}], scopes: [all]}}
- {name: no-delete, match: [{methods: [DELETE]}], deny: {}}
`, "mode: Audit\n"+corp+"\nrules: [{name: tried, match: [{paths: ['/trial/deep/{x}']}], allow: {authenticated: true}}]")
	const mismatch = "the match does not fit the request"
	near := func(rule, failed, problem string) *decision.Nearest {
		return &decision.Nearest{Policy: "shop/a", Rule: rule, Failed: failed, Problem: problem}
	}
	tests := map[string]struct {
		request, claims string
		reason          decision.Reason
		want            *decision.Nearest
	}{
		"the rule of which fewest conditions fail": {"POST /orders", `{"realm":{"roles":["buyer"]},"mfa":"no"}`, decision.NoRule,
			near("buy", "spec.rules[0].allow.claims[1]", "the claim mfa does not satisfy equals")},
		"the first of several conditions": {"POST /orders", `{"realm":{"roles":[]},"mfa":"no","sub":"root"}`, decision.InsufficientScope,
			near("buy-anything", "spec.rules[1].allow.scopes", "the token lacks scopes")},
		"the rule that would allow but for scopes, though more of another one holds": {"GET /list", `{"a":1}`, decision.InsufficientScope,
			near("list", "spec.rules[9].allow.scopes", "the token lacks scopes")},
		"no token": {"POST /orders", "", decision.NoToken,
			near("buy-anything", "spec.rules[1].allow.issuers", "no token that the rule may look at")},
		"a condition on the request": {"GET /users/bob", `{"sub":"alice"}`, decision.NoRule,
			near("own", "spec.rules[4].allow.when", "the expression is false")},
		"a condition on who needs no token": {"GET /office/a", "", decision.NoToken,
			near("office", "spec.rules[5].allow.when", "the expression is false")},
		"the first by name among equals": {"GET /same", `{"sub":"c"}`, decision.NoRule,
			near("in-order", "spec.rules[6].allow.subjects", "sub is none of these")},
		"another log-in": {"GET /pay", `{"acr":"strong","scope":"pay"}`, decision.InsufficientAuthentication,
			near("pay", "spec.rules[8].allow.authentication.maxAge", "auth_time is missing, longer ago than that, or in the future")},
		"another log-in and scopes": {"GET /pay", `{"acr":"weak","auth_time":1795584600}`, decision.InsufficientAuthentication,
			near("pay", "spec.rules[8].allow.authentication.acr", "acr is none of these")},
		"another method":                   {"PATCH /orders", `{}`, decision.NoRule, near("buy", "spec.rules[0].match[0].methods", mismatch)},
		"a header that is missing":         {"GET /orders/1", `{}`, decision.NoRule, near("one", "spec.rules[3].match[0].headers", mismatch)},
		"the entry that gets furthest":     {"POST /orders/1/items", `{}`, decision.NoRule, near("items", "spec.rules[2].match[0].methods", mismatch)},
		"a longer path":                    {"GET /orders/1/items/2", `{}`, decision.NoRule, near("items", "spec.rules[2].match[0].paths", mismatch)},
		"a path with a slash more":         {"GET /same/", `{}`, decision.NoRule, near("in-order", "spec.rules[6].match[0].paths", mismatch)},
		"a path that nothing is near":      {"GET /favicon.ico", `{}`, decision.NoRule, &decision.Nearest{Problem: "no rule is for the path"}},
		"a path that an Audit policy has":  {"GET /trial/deep/1", `{}`, decision.NoRule, &decision.Nearest{Problem: "no rule is for the path"}},
		"a request that is let in":         {"GET /users/bob", `{"sub":"bob"}`, decision.Allowed, nil},
		"a request that a rule is against": {"DELETE /orders", `{}`, decision.DeniedByRule, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var s *decision.Subject
			if tt.claims != "" {
				s = p.Bind(claims(t, tt.claims), 1)
			}
			r := request(t, tt.request)
			if d := decide(t, p, r, s); d.Reason != tt.reason {
				t.Errorf("the reason is %s, want %s", d.Reason, tt.reason)
			}
			got := p.Nearest(r, s)
			if got != nil && got.Rule != "" {
				if want := decision.IssuerSet(3); got.Rule == "buy" && got.Issuers != 1 || got.Rule != "buy" && got.Issuers != want {
					t.Errorf("rule %s takes tokens of %b", got.Rule, got.Issuers)
				}
				got.Issuers = 0
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("Nearest (-want +got):\n%s", diff)
			}
		})
	}
}

// What is shown of the nearest rule has names of the policy alone, whatever the token and the request have.
func TestNearestShowsNoValue(t *testing.T) {
	t.Parallel()
	p := compile(t, corp+`
rules:
- {name: read, match: [{paths: ["/a/{x}"], methods: [GET]}], allow: {subjects: [root], claims: [{claim: team, anyOf: [red]}], when: 'claims.team == path.x', scopes: [read]}}
`)
	s := p.Bind(claims(t, `{"sub":"canary","team":"canary","scope":"canary"}`), 1)
	for _, line := range []string{"GET /a/canary", "GET /a/canary/canary", "CANARY /a/canary", "GET canary.example/a/canary?canary", "GET /canary"} {
		n := p.Nearest(request(t, line, "Canary: canary"), s)
		text, err := json.Marshal(n)
		if err != nil || n == nil {
			t.Fatalf("%s: %v, %v", line, n, err)
		}
		if strings.Contains(strings.ToLower(string(text)+n.String()), "canary") {
			t.Errorf("%s: %s has a value", line, text)
		}
	}
	if got, want := p.Nearest(request(t, "GET /a/x"), s).String(), "spec.rules[0].allow.subjects: sub is none of these"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	var none *decision.Program
	if n := none.Nearest(request(t, "GET /a"), nil); n != nil {
		t.Errorf("no program has the rule %+v", n)
	}
}
