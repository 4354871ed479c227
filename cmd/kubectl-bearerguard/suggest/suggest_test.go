package suggest_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/suggest"
)

// spec is an Audit policy with issuers of these names.
func spec(issuers ...string) *policy.Spec {
	s := &policy.Spec{Mode: policy.Audit}
	for _, name := range issuers {
		s.Issuers = append(s.Issuers, policy.Issuer{Name: name, Issuer: "https://" + name + ".example", Audiences: []string{"orders"}, Keys: policy.KeySource{Discovery: &policy.Discovery{}}})
	}
	return s
}

// logged is a line of the decision log.
func logged(method, path, issuer string, scopes ...string) string {
	audit := map[string]any{"policy": "shop/orders", "decision": "deny", "reason": "NoRule", "issuerEntry": issuer, "scopes": append([]string{}, scopes...)}
	text, _ := json.Marshal(map[string]any{"msg": "request decided", "decision": "allow", "reason": "AuditOnly", "method": method, "path": path, "port": 8080, "x-bearerguard-audit": []any{audit}})
	return string(text)
}

func read(t *testing.T, lines ...string) *suggest.Seen {
	t.Helper()
	seen := suggest.NewSeen("shop/orders")
	if err := seen.Read(strings.NewReader(strings.Join(lines, "\n"))); err != nil {
		t.Fatal(err)
	}
	return seen
}

// inShort writes rules as "NAME: METHODS PATHS [SCOPES] REQUESTS".
func inShort(r suggest.Result) (out []string) {
	for _, rule := range r.Rules {
		s := rule.Name + ":"
		for _, m := range rule.Match {
			s += " " + strings.Join(m.Methods, "+") + " " + strings.Join(m.Paths, " ")
			if m.NotPaths != nil {
				s += " ! " + strings.Join(m.NotPaths, " ")
			}
			if m.Ports != nil {
				s += fmt.Sprint(" at ", m.Ports)
			}
		}
		out = append(out, fmt.Sprintf("%s %v %v %d", s, rule.Allow.Issuers, rule.Allow.Scopes, rule.Requests))
	}
	return out
}

func TestSuggestions(t *testing.T) {
	t.Parallel()
	many := func(format string, n int) (out []string) {
		for i := range n {
			out = append(out, logged("GET", fmt.Sprintf(format, string(rune('a'+i%26))+strings.Repeat("z", i/26)), "corp", "read"))
		}
		return out
	}
	for name, c := range map[string]struct {
		lines   []string
		options suggest.Options
		want    []string
	}{
		"what was seen and nothing else": {
			[]string{logged("GET", "/orders", "corp", "read"), logged("GET", "/orders", "corp", "read"), logged("POST", "/orders", "corp", "write")},
			suggest.Options{}, []string{"get-orders: GET /orders [] [read] 2", "post-orders: POST /orders [] [write] 1"}},
		"one number may be a name": {
			[]string{logged("GET", "/reports/2026", "corp", "read")}, suggest.Options{}, []string{"get-reports-2026: GET /reports/2026 [] [read] 1"}},
		"two are not": {
			[]string{logged("GET", "/orders/7", "corp", "read"), logged("GET", "/orders/8/items/1", "corp", "read"), logged("GET", "/orders/9/items/2", "corp", "read")},
			suggest.Options{}, []string{"read: GET /orders/{id} /orders/{id}/items/{id2} [] [read] 3"}},
		"unless that is not wanted": {
			[]string{logged("GET", "/orders/7", "corp", "read"), logged("GET", "/orders/8", "corp", "read")}, suggest.Options{Numbers: -1},
			[]string{"read: GET /orders/7 /orders/8 [] [read] 2"}},
		"a UUID is an identifier": {
			[]string{logged("GET", "/carts/0f7c2a3e-90c8-4d3e-b9d5-1234567890ab", "corp")}, suggest.Options{}, []string{"get-carts-id: GET /carts/{id} [] [] 1"}},
		"names beside identifiers are kept apart": {
			[]string{logged("GET", "/users/1", "corp", "admin"), logged("GET", "/users/2", "corp", "admin"), logged("GET", "/users/me", "corp", "self")},
			suggest.Options{}, []string{"get-users-id: GET /users/{id} ! /users/me [] [admin] 2", "get-users-me: GET /users/me [] [self] 1"}},
		"versions are no identifiers": {
			[]string{logged("GET", "/v1/a", "corp", "read"), logged("GET", "/v2/a", "corp", "read")}, suggest.Options{}, []string{"read: GET /v1/a /v2/a [] [read] 2"}},
		"many words with the same below them are a variable": {
			many("/tenants/%s/orders", 50), suggest.Options{}, []string{"get-tenants-id-orders: GET /tenants/{id}/orders [] [read] 50"}},
		"fewer are not": {
			many("/t/%s", 3), suggest.Options{}, []string{"read: GET /t/a /t/b /t/c [] [read] 3"}},
		"scopes that all tokens have": {
			[]string{logged("GET", "/a", "corp", "openid", "read", "x"), logged("GET", "/a", "corp", "openid", "read", "y")}, suggest.Options{},
			[]string{"get-a: GET /a [] [read] 2"}},
		"lists of scopes with nothing in common": {
			[]string{logged("GET", "/a", "corp", "read"), logged("GET", "/a", "corp", "admin"), logged("GET", "/a", "corp", "admin", "more")}, suggest.Options{},
			[]string{"get-a: GET /a [] [admin] 2", "get-a-2: GET /a [] [read] 1"}},
		"too many of them": {
			[]string{logged("GET", "/a", "corp", "a"), logged("GET", "/a", "corp", "b"), logged("GET", "/a", "corp", "c")}, suggest.Options{Alternatives: 2},
			[]string{"get-a: GET /a [] [] 3"}},
		"a token without scopes": {
			[]string{logged("GET", "/a", "corp", "a"), logged("GET", "/a", "corp", "openid")}, suggest.Options{}, []string{"get-a: GET /a [] [] 2"}},
		"issuers are told apart": {
			[]string{logged("GET", "/a", "corp", "a"), logged("GET", "/a", "partner", "b"), logged("GET", "/b", "partner", "b")}, suggest.Options{},
			[]string{"get-a: GET /a [corp] [a] 1", "b: GET /a /b [partner] [b] 2"}},
		"ports are told apart if there are several": {
			[]string{logged("GET", "/a", "corp", "a"), strings.Replace(logged("GET", "/metrics", "corp", "a"), "8080", "9090", 1)}, suggest.Options{},
			[]string{"a: GET /a at [8080] GET /metrics at [9090] [] [a] 2"}},
		"what is seldom is left out": {
			[]string{logged("GET", "/a", "corp", "a"), logged("GET", "/a", "corp", "a"), logged("GET", "/wp-login.php", "corp", "a")}, suggest.Options{Least: 2},
			[]string{"get-a: GET /a [] [a] 2"}},
		"one token of another kind takes no scope out of a rule": {
			append(slices.Repeat([]string{logged("GET", "/a", "corp", "read")}, 20), logged("GET", "/a", "corp"), logged("GET", "/a", "corp", "read", "more"), logged("GET", "/b", "corp")),
			suggest.Options{Least: 2}, []string{"get-a: GET /a [] [read] 21"}},
		"scopes that differ with each token, none of which is the exception": {
			[]string{logged("GET", "/a", "corp", "read", "t1"), logged("GET", "/a", "corp", "read", "t2"), logged("GET", "/a", "corp", "read", "t3")},
			suggest.Options{Least: 2}, []string{"get-a: GET /a [] [read] 3"}},
		"odd characters are texts": {
			[]string{logged("GET", "/a*/%7Bid%7D/%3F", "corp", "a")}, suggest.Options{}, []string{"get-a-2a-7bid-7d-3f: GET /a%2A/%7Bid%7D/%3F [] [a] 1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			issuers := []string{"corp"}
			if strings.Contains(strings.Join(c.lines, ""), "partner") {
				issuers = append(issuers, "partner")
			}
			seen := read(t, c.lines...)
			if diff := cmp.Diff(c.want, inShort(suggest.Suggest(seen, spec(issuers...), c.options))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Lines of all kinds: those that cannot be let in by a rule are listed, with why.
func TestWhatIsNotLetIn(t *testing.T) {
	t.Parallel()
	reason := func(reason, rule string) string {
		s := strings.Replace(logged("GET", "/x", ""), `"NoRule"`, `"`+reason+`"`, 1)
		return strings.Replace(s, `"policy":"shop/orders"`, `"policy":"shop/orders","rule":"`+rule+`"`, 1)
	}
	seen := read(t,
		`{"msg":"sidecar runs"}`, "plain text", `{"msg":"request decided","reason":"Allowed"}`, "{", strings.Repeat("x", 100_000),
		"[pod/orders-1/bearerguard] "+logged("GET", "/a", "corp", "a"),
		strings.Replace(logged("GET", "/b", "corp", "a"), `"deny"`, `"allow"`, 1),
		strings.Replace(logged("GET", "/c", "corp", "a"), `"decision":"allow"`, `"decision":"deny"`, 1),
		reason("NoToken", ""), reason("NoToken", ""), reason("Expired", ""), reason("DeniedByRule", "archive"), reason("InsufficientAuthentication", "pay"),
		strings.Replace(logged("GET", "/a", "corp", "a"), `"msg"`, `"suppressed":7,"msg"`, 1),
		logged("GET", "/"+strings.Repeat("x", 509)+"...", "corp"), logged("GET", "/a/../b", "corp"), logged("get", "/a", "corp"),
		logged("GET", "/a", "nobody"), strings.Replace(logged("GET", "/a", "corp"), "shop/orders", "shop/else", 1))
	s := spec("corp", "partner")
	result := suggest.Suggest(seen, s, suggest.Options{})
	subject := suggest.Subject{Object: bundle.Object{Namespace: "shop", Name: "orders", Spec: *s}, NetworkPolicy: true}
	r := suggest.NewReport(&subject, seen, &result)
	want := []suggest.Count{
		{What: "GET /x", Why: "no token; a rule with anonymous: true would let everybody in, which is for you to write", Requests: 2},
		{What: "DeniedByRule by rule archive", Why: "it denies them", Requests: 1}, {What: "Expired", Why: "nothing that a rule could let in", Requests: 1},
		{What: "InsufficientAuthentication by rule pay", Why: "it asks for another log-in", Requests: 1},
		{What: "another policy, which is in force", Requests: 1},
		{What: "others", Why: "the log does not say whose token it was, or shows a part of the path", Requests: 4},
	}
	if diff := cmp.Diff(want, r.Left); diff != "" || r.Others != 6 || r.Allowed != 1 || r.Covered != 2 || r.Unlogged != 7 || r.Complete() {
		t.Errorf("%s\n%d others, %d allowed, %d covered, %d not logged", diff, r.Others, r.Allowed, r.Covered, r.Unlogged)
	}
	if !r.Policy.Spec.NetworkPolicy {
		t.Error("networkPolicy is lost")
	}
}

// Whoever has any token can ask for what they like: that they make a rule ask for less is told, and which option keeps them from it.
func TestWhoTakesScopesOutOfRulesIsTold(t *testing.T) {
	t.Parallel()
	lines := append(slices.Repeat([]string{logged("GET", "/orders", "corp", "read", "openid")}, 1000), logged("GET", "/orders", "corp", "openid"))
	note := "GET /orders: 1 of 1001 requests had tokens without the scope read, so the rule does not ask for it; --least 2 leaves out what was seen so seldom"
	for least, want := range map[int]struct {
		rules []string
		note  bool
		left  []suggest.Count
	}{
		1: {[]string{"get-orders: GET /orders [] [] 1001"}, true, []suggest.Count{}},
		2: {[]string{"get-orders: GET /orders [] [read] 1000"}, false, []suggest.Count{{What: "GET /orders with the scopes [], since it was seen too seldom", Requests: 1}}},
	} {
		seen, s := read(t, lines...), spec("corp")
		result := suggest.Suggest(seen, s, suggest.Options{Least: least})
		r := suggest.NewReport(&suggest.Subject{Object: bundle.Object{Namespace: "shop", Name: "orders", Spec: *s}}, seen, &result)
		if diff := cmp.Diff(want.rules, inShort(result)); diff != "" {
			t.Errorf("least %d: %s", least, diff)
		}
		if slices.Contains(r.Notes, note) != want.note || !slices.Contains(r.Text(), "mind: "+note) == want.note {
			t.Errorf("least %d: notes %q", least, r.Notes)
		}
		if diff := cmp.Diff(want.left, r.Left); diff != "" {
			t.Errorf("least %d: %s", least, diff)
		}
	}
}

// What was seen is let in by what is suggested, and nothing that was not: other texts in a segment that is variable aside, and more scopes.
func TestSuggestionsFitWhatWasSeen(t *testing.T) {
	t.Parallel()
	type request struct {
		method, path, issuer string
		scopes               []string
	}
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 13)) //nolint:gosec // a test's
		one := func(all ...string) string { return all[r.IntN(len(all))] }
		random := func() request {
			var q request
			q.method, q.issuer = one("GET", "POST"), one("corp", "partner")
			for range 1 + r.IntN(3) {
				q.path += "/" + one("a", "b", "7", "8", "9", "0f7c2a3e-90c8-4d3e-b9d5-1234567890ab", "c"+fmt.Sprint(r.IntN(3)), "x*", "%7B")
			}
			for _, s := range []string{"read", "write", "openid"} {
				if r.IntN(2) == 0 {
					q.scopes = append(q.scopes, s)
				}
			}
			return q
		}
		var all []request
		var lines []string
		for range 1 + r.IntN(40) {
			q := random()
			all = append(all, q)
			lines = append(lines, logged(q.method, q.path, q.issuer, q.scopes...))
		}
		seen, s := read(t, lines...), spec("corp", "partner")
		result := suggest.Suggest(seen, s, suggest.Options{Words: int(seed%2)*4 - 1})
		enforced := policy.Spec{Issuers: s.Issuers}
		for _, rule := range result.Rules {
			enforced.Rules = append(enforced.Rules, rule.Rule)
		}
		program, err := decision.Compile([]decision.Policy{{Spec: enforced}})
		if err != nil {
			t.Fatal(err)
		}
		allowed := func(q request) bool {
			req := decision.Request{Method: q.method, Path: q.path, Now: time.Unix(0, 0)}
			by := decision.IssuerSet(0).With(slices.Index([]string{"corp", "partner"}, q.issuer))
			return program.Decide(&req, program.Bind(decision.Claims{"scope": strings.Join(q.scopes, " ")}, by)).Allowed
		}
		for _, q := range all {
			if !allowed(q) {
				t.Fatalf("seed %d: %+v was seen and is refused\n%s\n%v", seed, q, strings.Join(lines, "\n"), inShort(result))
			}
		}
		if result.Covered != len(all) || len(result.Left) > 0 {
			t.Fatalf("seed %d: %d of %d covered, left %v", seed, result.Covered, len(all), result.Left)
		}
		for range 200 {
			if q := random(); allowed(q) && !slices.ContainsFunc(all, func(p request) bool {
				return p.method == q.method && p.issuer == q.issuer && near(p.path, q.path, seed%2 == 1)
			}) {
				t.Fatalf("seed %d: %+v is let in, and nothing like it was seen\n%s\n%v", seed, q, strings.Join(lines, "\n"), inShort(result))
			}
		}
	}
}

// near reports whether a path is as one that was seen but for segments that were numbers, or with words any texts.
func near(seen, path string, words bool) bool {
	all, other := strings.Split(seen, "/"), strings.Split(path, "/")
	return slices.EqualFunc(all, other, func(a, b string) bool {
		return a == b || words || slices.Contains([]string{"7", "8", "9", "0f7c2a3e-90c8-4d3e-b9d5-1234567890ab"}, a)
	})
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(logged("GET", "/a/7", "corp", "read") + "\n" + logged("POST", "/a/8/b", "corp")))
	f.Add([]byte("x\n{\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		seen, s := suggest.NewSeen("shop/orders"), spec("corp")
		if err := seen.Read(strings.NewReader(string(data))); err != nil {
			t.Fatal(err)
		}
		result := suggest.Suggest(seen, s, suggest.Options{})
		for _, rule := range result.Rules {
			if rule.Allow == nil || rule.Allow.Anonymous || rule.Requests == 0 {
				t.Errorf("%+v", rule)
			}
			s.Rules = append(s.Rules, rule.Rule)
		}
		if len(s.Rules) > 0 {
			if _, err := decision.Compile([]decision.Policy{{Spec: *s}}); err != nil {
				t.Error(err)
			}
		}
	})
}
