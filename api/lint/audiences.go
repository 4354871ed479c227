package lint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/bearerguard/bearerguard/api/policy"
)

// parties are claims that say which client a token was given to, by the names that providers use, and whom it is for.
var parties = []string{"client_id", "azp", "appid", "cid", "aud"}

// audiences warns of issuers whose tokens are taken whomever they were made for, by a rule that does not ask to which client they
// were given either. An issuer that is asked about tokens knows who asks.
func (l *linter) audiences(spec *policy.Spec) {
	for i := range spec.Issuers {
		is := &spec.Issuers[i]
		if !is.AnyAudience || is.Introspection != nil {
			continue
		}
		n := slices.IndexFunc(spec.Rules, func(r policy.Rule) bool {
			return r.Allow != nil && !r.Allow.Anonymous && slices.Contains(taken(&r.Allow.Conditions, spec.Issuers), is.Name) && !asksParty(&r.Allow.Conditions)
		})
		if n >= 0 {
			l.add(AnyAudience, fmt.Sprintf("spec.issuers[%d].anyAudience", i),
				fmt.Sprintf("takes tokens that were made for other apps, and rule %s asks for no client of theirs: who gets one there can use it here", spec.Rules[n].Name),
				"audiences with the app's own, or claims with the client_id or azp of its clients")
		}
	}
}

// asksParty reports whether conditions hold for some clients or audiences alone.
func asksParty(c *policy.Conditions) bool {
	for _, p := range parties {
		if strings.Contains(c.When, "claims."+p) {
			return true
		}
		if slices.ContainsFunc(c.Claims, func(k policy.ClaimCondition) bool {
			return k.Claim == p && (k.Equals != nil || k.AnyOf != nil || k.AllOf != nil || k.Patterns != nil)
		}) {
			return true
		}
	}
	return false
}
