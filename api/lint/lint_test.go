package lint

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
)

// sound is an allow rule in which there is nothing to find.
func sound(name string, paths ...string) policy.Rule {
	return policy.Rule{Name: name, Match: []policy.Match{{Paths: paths}}, Allow: &policy.Allow{Authenticated: true}}
}

func open(name string, paths ...string) policy.Rule {
	r := sound(name, paths...)
	r.Allow.Anonymous = true
	return r
}

func closed(name string, paths ...string) policy.Rule {
	return policy.Rule{Name: name, Match: []policy.Match{{Paths: paths}}, Deny: &policy.Conditions{}}
}

func with(c policy.Conditions) policy.Rule {
	return policy.Rule{Name: "a", Allow: &policy.Allow{Conditions: c}}
}

func from(header, prefix string) policy.Issuer {
	return policy.Issuer{Name: "a", From: []policy.TokenLocation{{Header: header, Prefix: prefix}}}
}

func TestFindings(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		rules   []policy.Rule
		issuers []policy.Issuer
		want    []string
	}{
		"nothing":  {rules: []policy.Rule{sound("a", "/a/{id}/**", "/*.json", "/v*/x")}},
		"no rules": {want: []string{"spec.rules: there are none, so this policy allows nothing by itself"}},

		"a class of characters": {rules: []policy.Rule{sound("a", "/a/[0-9]+")},
			want: []string{`spec.rules[0].match[0].paths[0]: "[0-9]" is literal text: a path is no regular expression; want * or {name} for one segment, ** for any number of them`}},
		"any text of a regular expression": {rules: []policy.Rule{sound("a", "/a/.*")},
			want: []string{`spec.rules[0].match[0].paths[0]: ".*" is literal text: a path is no regular expression; want * or {name} for one segment, ** for any number of them`}},
		"anchors": {rules: []policy.Rule{sound("a", "/a$")},
			want: []string{`spec.rules[0].match[0].paths[0]: "$" is literal text: a path is no regular expression; want * or {name} for one segment, ** for any number of them`}},
		"a parameter of Express": {rules: []policy.Rule{sound("a", "/a/:id")},
			want: []string{`spec.rules[0].match[0].paths[0]: ":id" is a literal segment: it fits only itself; want {id} for one segment of any text`}},
		"a parameter of Flask": {rules: []policy.Rule{sound("a", "/a/<int:id>")},
			want: []string{`spec.rules[0].match[0].paths[0]: "<int:id>" is a literal segment: it fits only itself; want {id} for one segment of any text`}},
		"a verb after a colon is fine": {rules: []policy.Rule{sound("a", "/v1/things:cancel", "/a.b/c-d/e+f/~g/@h")}},

		"a subject with a wildcard": {rules: []policy.Rule{with(policy.Conditions{Subjects: []string{"bob", "admin-*"}})},
			want: []string{`spec.rules[0].allow.subjects[1]: "admin-*" is compared as it is: * stands for nothing here; want a whole subject, or claims: [{claim: sub, patterns: [...]}]`}},
		"a scope with a wildcard": {rules: []policy.Rule{with(policy.Conditions{Scopes: []string{"orders.*"}})},
			want: []string{`spec.rules[0].allow.scopes[0]: "orders.*" is compared as it is: * stands for nothing here; want a whole scope`}},
		"a claim with a wildcard": {rules: []policy.Rule{with(policy.Conditions{Claims: []policy.ClaimCondition{{Claim: "g", AnyOf: []string{"*-ops"}}}})},
			want: []string{`spec.rules[0].allow.claims[0].anyOf[0]: "*-ops" is compared as it is: * stands for nothing here; want a whole value, or the entry under patterns`}},
		"a claim with patterns is fine": {rules: []policy.Rule{with(policy.Conditions{Claims: []policy.ClaimCondition{{Claim: "g", Patterns: []string{"*-ops"}}}})}},

		"a header in upper case": {rules: []policy.Rule{with(policy.Conditions{When: `request.headers["X-A"] == "b"`})},
			want: []string{`spec.rules[0].allow.when: request.headers has its names in lower case: "X-A" is never there; want "x-a"`}},
		"a header asked for in upper case": {rules: []policy.Rule{with(policy.Conditions{When: `"X-A" in request.headers && has(request.headers.Host)`})},
			want: []string{
				`spec.rules[0].allow.when: request.headers has its names in lower case: "X-A" is never there; want "x-a"`,
				`spec.rules[0].allow.when: request.headers has its names in lower case: "Host" is never there; want "host"`}},
		"a header in lower case is fine": {rules: []policy.Rule{with(policy.Conditions{When: `request.headers["x-a"] == "B"`})}},
		"a claim as a condition": {rules: []policy.Rule{with(policy.Conditions{When: `claims.admin`})},
			want: []string{"spec.rules[0].allow.when: is a claim by itself: it holds only for the boolean true, not for a text or a number; want a comparison, such as claims.admin == true"}},
		"an element as a condition": {rules: []policy.Rule{with(policy.Conditions{When: `claims["a"]["b"]`})},
			want: []string{"spec.rules[0].allow.when: is a claim by itself: it holds only for the boolean true, not for a text or a number; want a comparison, such as claims.admin == true"}},
		"a test for a claim is fine": {rules: []policy.Rule{with(policy.Conditions{When: `has(claims.admin)`})}},

		"a scheme without its space": {rules: []policy.Rule{sound("a", "/")}, issuers: []policy.Issuer{from("Authorization", "Bearer")},
			want: []string{`spec.issuers[0].from[0].prefix: "Bearer" has no space at its end, so that a space is left before the token; YAML drops it where there are no quotes; want "Bearer "`}},
		"Authorization without a scheme": {rules: []policy.Rule{sound("a", "/")}, issuers: []policy.Issuer{from("authorization", "")},
			want: []string{`spec.issuers[0].from[0].prefix: is missing, so that the whole value of Authorization, with its scheme, is taken for the token; want "Bearer ", with its space`}},
		"a header of its own without a prefix is fine": {rules: []policy.Rule{sound("a", "/")}, issuers: []policy.Issuer{from("X-Token", "")}},
		"an audience with a wildcard": {rules: []policy.Rule{sound("a", "/")}, issuers: []policy.Issuer{{Name: "a", Audiences: []string{"*"}}},
			want: []string{`spec.issuers[0].audiences[0]: "*" is compared as it is: * stands for nothing here; want a whole audience, or anyAudience: true`}},

		"a rule that a deny rule makes useless": {rules: []policy.Rule{sound("read", "/admin/{id}"), closed("no-admin", "/admin/**")},
			want: []string{"spec.rules[0]: can let no request in: deny rule no-admin refuses every request that it matches; want another match for one of the two"}},
		"a rule that an anonymous rule makes useless": {rules: []policy.Rule{open("all"), sound("read", "/a"), open("b", "/b")},
			want: []string{
				"spec.rules[0].match: lets everybody in, to every path, and to those that the app will have later; want paths with what is public",
				"spec.rules[1].allow: changes nothing: rule all lets in every request that it matches, without a token; want a narrower match for all"}},
		"rules that overlap are fine": {rules: []policy.Rule{sound("read", "/a/**"), closed("no-admin", "/a/admin/**"), open("docs", "/a/docs/*")}},
		"a deny rule of some is fine": {rules: []policy.Rule{sound("read", "/a"), {
			Name: "no-bob", Match: []policy.Match{{Paths: []string{"/a"}}}, Deny: &policy.Conditions{Subjects: []string{"bob"}}}}},
		"a deny rule of other methods is fine": {rules: []policy.Rule{sound("read", "/a"), {
			Name: "no-delete", Match: []policy.Match{{Paths: []string{"/a"}, Methods: []string{"DELETE"}}}, Deny: &policy.Conditions{}}}},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, f := range Policy(&policy.Spec{Issuers: c.issuers, Rules: c.rules}, decision.ExpressionHints) {
				got = append(got, f.Error())
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPathCovers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		wide, narrow string
		want         bool
	}{
		{"/**", "/", true},
		{"/**", "/a/**/b", true},
		{"/a/**", "/a", true},
		{"/a/**", "/a/{b}/c", true},
		{"/a/**", "/ab", false},
		{"/a/*", "/a/{b}", true},
		{"/a/*", "/a/v*", true},
		{"/a/*", "/a/", false},
		{"/a/*", "/a/**", false},
		{"/a/*", "/a/b/c", false},
		{"/a/**/z", "/a/b/z", false}, // true, but not seen
		{"/a", "/a", true},
		{"/a", "/a/", false},
	} {
		if got := pathCovers(c.wide, c.narrow); got != c.want {
			t.Errorf("%s covers %s: %v", c.wide, c.narrow, got)
		}
	}
}

// A policy whose rules all cover each other would take billions of comparisons.
func TestMuchToCompareIsNotAllCompared(t *testing.T) {
	t.Parallel()
	var paths []string
	for i := range 64 {
		paths = append(paths, fmt.Sprintf("/%d", i))
	}
	var rules []policy.Rule
	for i := range 256 {
		r := open(fmt.Sprint(i), paths...)
		for range 31 {
			r.Match = append(r.Match, r.Match[0])
		}
		rules = append(rules, r)
	}
	rules[0].Allow.Anonymous, rules[0].Allow.Authenticated = false, true
	l := linter{}
	l.useless(rules)
	if len(l.found) != 0 {
		t.Errorf("got %v", l.found)
	}
	if n := comparisons(rules[0].Match, rules[1].Match); n < mostComparisons {
		t.Errorf("%d comparisons are not much", n)
	}
}
