package lint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/bearerguard/bearerguard/api/policy"
)

// delegates warns of allow rules that ask who the subject is, and not who acts for it, where another rule shows that an issuer
// of theirs delegates: with a delegated token, the one that acts is let in as the subject.
func (l *linter) delegates(spec *policy.Spec) {
	shown := map[string]int{} // by the name of an issuer: the first rule that looks at actors of its tokens
	for i := range spec.Rules {
		c := conditionsOf(&spec.Rules[i])
		if c == nil || !asksActor(c) {
			continue
		}
		if refusesDelegated(&spec.Rules[i]) {
			return
		}
		for _, name := range taken(c, spec.Issuers) {
			if _, ok := shown[name]; !ok {
				shown[name] = i
			}
		}
	}
	for i := range spec.Rules {
		a := spec.Rules[i].Allow
		if a == nil || asksActor(&a.Conditions) {
			continue
		}
		field := asksSubject(&a.Conditions)
		if field == "" {
			continue
		}
		for _, name := range taken(&a.Conditions, spec.Issuers) {
			if by, ok := shown[name]; ok {
				l.add(Delegates, fmt.Sprintf("spec.rules[%d].allow.%s", i, field),
					fmt.Sprintf("fits whoever acts for these subjects, too: as rule %s shows, tokens of issuer %s are delegated", spec.Rules[by].Name, name),
					"actors beside it: none: true for the subjects themselves, anyOf for those that may act")
				break
			}
		}
	}
}

func conditionsOf(r *policy.Rule) *policy.Conditions {
	if r.Allow != nil {
		return &r.Allow.Conditions
	}
	return r.Deny
}

// asksActor reports whether a rule looks at who acts.
func asksActor(c *policy.Conditions) bool {
	return c.Actors != nil || strings.Contains(c.When, "actor") || strings.Contains(c.When, "claims.act") ||
		slices.ContainsFunc(c.Claims, func(k policy.ClaimCondition) bool { return k.Claim == "act" || strings.HasPrefix(k.Claim, "act.") })
}

// refusesDelegated reports whether a rule lets no delegated token through anywhere.
func refusesDelegated(r *policy.Rule) bool {
	return r.Deny != nil && r.Match == nil && r.Deny.Actors != nil && r.Deny.Actors.Any && r.Deny.Issuers == nil &&
		r.Deny.Subjects == nil && r.Deny.ServiceAccounts == nil && r.Deny.SPIFFEIDs == nil && r.Deny.Scopes == nil && r.Deny.Claims == nil && r.Deny.When == ""
}

// asksSubject returns the field that asks for a subject; empty if there is none.
func asksSubject(c *policy.Conditions) string {
	if c.Subjects != nil {
		return "subjects"
	}
	for i := range c.Claims {
		if k := &c.Claims[i]; k.Claim == "sub" && (k.Equals != nil || k.AnyOf != nil || k.Patterns != nil || k.Matches != "") {
			return fmt.Sprintf("claims[%d]", i)
		}
	}
	return ""
}

// taken returns the names of the issuers whose tokens a rule takes.
func taken(c *policy.Conditions, issuers []policy.Issuer) []string {
	if c.Issuers != nil {
		return c.Issuers
	}
	names := make([]string, 0, len(issuers))
	for i := range issuers {
		names = append(names, issuers[i].Name)
	}
	return names
}
