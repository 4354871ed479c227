package lint

import (
	"fmt"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
)

// Hints are those of decision.ExpressionHints.
type Hints func(expression string) []decision.FieldError

// Finding is something that is valid in a policy and probably not meant.
type Finding struct {
	decision.FieldError
	// Check is what found it.
	Check Check
}

// Policy returns the findings in spec, which Compile takes, in the order of the fields. Their Policy is empty.
func Policy(spec *policy.Spec, hints Hints) []Finding {
	l := linter{hints: hints}
	for i := range spec.Issuers {
		l.issuer(fmt.Sprintf("spec.issuers[%d]", i), &spec.Issuers[i])
	}
	l.opaque(spec.Issuers)
	l.resource(spec)
	if len(spec.Rules) == 0 && spec.Mode != policy.Audit {
		l.add(NoRules, "spec.rules", "there are none, so this policy allows nothing by itself", "")
	}
	for i := range spec.Rules {
		l.rule(fmt.Sprintf("spec.rules[%d]", i), &spec.Rules[i], spec.Issuers)
	}
	l.audiences(spec)
	l.delegates(spec)
	l.useless(spec.Rules)
	l.dodged(spec.Rules)
	return l.found
}

// linter collects findings.
type linter struct {
	hints Hints
	found []Finding
}

func (l *linter) add(c Check, path, problem, want string) {
	l.found = append(l.found, Finding{decision.FieldError{Path: path, Problem: problem, Want: want}, c})
}

func (l *linter) issuer(at string, is *policy.Issuer) {
	l.literal(at+".issuer", is.Issuer, "the whole value of iss")
	for i, audience := range is.Audiences {
		l.literal(fmt.Sprintf("%s.audiences[%d]", at, i), audience, "a whole audience, or anyAudience: true")
	}
	if p := is.Proof; p != nil && !p.DPoP.Taken() && !p.MTLS.Taken() {
		l.add(PointlessProof, at+".proof", "changes nothing: tokens that are bound to a key are refused without it too", "dpop or mtls: IfBound or Required")
	}
	for i := range is.From {
		l.location(fmt.Sprintf("%s.from[%d]", at, i), &is.From[i])
	}
}

func (l *linter) rule(at string, r *policy.Rule, issuers []policy.Issuer) {
	for i := range r.Match {
		l.match(fmt.Sprintf("%s.match[%d]", at, i), &r.Match[i])
	}
	if r.Allow != nil {
		l.conditions(at+".allow", &r.Allow.Conditions)
		l.login(at+".allow", r.Allow, issuers)
		l.scopes(at+".allow", r.Allow, issuers)
		l.wide(at, r)
	}
	if r.Deny != nil {
		l.conditions(at+".deny", r.Deny)
	}
}

func (l *linter) match(at string, m *policy.Match) {
	for i, p := range m.Paths {
		l.path(fmt.Sprintf("%s.paths[%d]", at, i), p)
	}
	l.mcp(at, m)
	for i, p := range m.NotPaths {
		l.path(fmt.Sprintf("%s.notPaths[%d]", at, i), p)
	}
	for i, h := range m.Headers {
		for j, v := range h.Values {
			l.literal(fmt.Sprintf("%s.headers[%d].values[%d]", at, i, j), v, "a whole value, or the entry under patterns")
		}
		for j, v := range h.NotValues {
			l.literal(fmt.Sprintf("%s.headers[%d].notValues[%d]", at, i, j), v, "a whole value, or the entry under notPatterns")
		}
	}
}

func (l *linter) conditions(at string, c *policy.Conditions) {
	for i, s := range c.Subjects {
		l.literal(fmt.Sprintf("%s.subjects[%d]", at, i), s, "a whole subject, or claims: [{claim: sub, patterns: [...]}]")
	}
	for i, s := range c.Scopes {
		l.literal(fmt.Sprintf("%s.scopes[%d]", at, i), s, "a whole scope")
	}
	for i := range c.Claims {
		l.claim(fmt.Sprintf("%s.claims[%d]", at, i), &c.Claims[i])
	}
	for _, hint := range l.hints(c.When) {
		l.add(Expression, at+".when", hint.Problem, hint.Want)
	}
}
