package lint

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
)

func TestSubjectsOfDelegatedTokens(t *testing.T) {
	t.Parallel()
	rule := func(name string, c policy.Conditions) policy.Rule {
		return policy.Rule{Name: name, Match: []policy.Match{{Paths: []string{"/" + name}}}, Allow: &policy.Allow{Conditions: c}}
	}
	by := rule("by", policy.Conditions{Actors: &policy.Actors{AnyOf: []string{"gw"}}})
	ann := rule("ann", policy.Conditions{Subjects: []string{"ann"}})
	only := func(r policy.Rule, issuer string) policy.Rule {
		allow := *r.Allow
		allow.Issuers = []string{issuer}
		r.Allow = &allow
		return r
	}
	sub := "ann"
	warning := func(field, issuer string) []string {
		return []string{"spec.rules[1].allow." + field + ": fits whoever acts for these subjects, too: as rule by shows, tokens of issuer " + issuer +
			" are delegated; want actors beside it: none: true for the subjects themselves, anyOf for those that may act"}
	}
	for what, c := range map[string]struct {
		rules []policy.Rule
		want  []string
	}{
		"a subject of an issuer that delegates":     {[]policy.Rule{by, ann}, warning("subjects", "corp")},
		"its claim":                                 {[]policy.Rule{by, rule("x", policy.Conditions{Claims: []policy.ClaimCondition{{Claim: "sub", Equals: &sub}}})}, warning("claims[0]", "corp")},
		"an expression shows it":                    {[]policy.Rule{rule("by", policy.Conditions{When: `actor.sub == "gw"`}), ann}, warning("subjects", "corp")},
		"a rule of another issuer":                  {[]policy.Rule{only(by, "corp"), only(ann, "other")}, nil},
		"a rule of that issuer":                     {[]policy.Rule{only(by, "other"), ann}, warning("subjects", "other")},
		"nothing shows it":                          {[]policy.Rule{rule("x", policy.Conditions{Scopes: []string{"a"}}), ann}, nil},
		"the rule looks at actors":                  {[]policy.Rule{by, rule("x", policy.Conditions{Subjects: []string{"ann"}, Actors: &policy.Actors{None: true}})}, nil},
		"a rule that does not ask for a subject":    {[]policy.Rule{by, rule("x", policy.Conditions{Scopes: []string{"a"}})}, nil},
		"delegated tokens are refused everywhere":   {[]policy.Rule{{Name: "by", Deny: &policy.Conditions{Actors: &policy.Actors{Any: true}}}, ann}, nil},
		"delegated tokens are refused at one place": {[]policy.Rule{{Name: "by", Match: []policy.Match{{Paths: []string{"/a"}}}, Deny: &policy.Conditions{Actors: &policy.Actors{Any: true}}}, ann}, warning("subjects", "corp")},
	} {
		var got []string
		spec := policy.Spec{Issuers: []policy.Issuer{{Name: "corp"}, {Name: "other"}}, Rules: c.rules}
		for _, f := range Policy(&spec, decision.ExpressionHints) {
			got = append(got, f.Error())
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
	}
}
