package decision

import (
	"maps"

	"github.com/bearerguard/bearerguard/api/policy"
)

// actClaim is the claim that says who acts for a token's subject (RFC 8693 section 4.1).
const actClaim = "act"

// actors are who may use a token, as a rule has it.
type actors struct {
	deny      bool // the rule denies: in doubt it fits
	any, none bool
	subjects  map[string]bool
	issuer    string // of the subjects; empty: the token's in an allow rule, any in a deny rule
}

// addActors reads the actors of a rule.
func (c *compiler) addActors(r *rule, at string, spec *policy.Actors) {
	if spec == nil {
		return
	}
	c.checkStrings(at+".anyOf", spec.AnyOf, bounds{items: 256, min: 1, max: 1024})
	c.checkString(at+".issuer", spec.Issuer, bounds{max: 2048})
	some := spec.None || spec.AnyOf != nil
	switch {
	case !spec.Any && !some:
		c.fail(at, "is empty", "anyOf, none: true or any: true")
	case spec.Any && some:
		c.fail(at+".any", "goes with none or anyOf", "any: true alone, or none: true and anyOf, of which one is enough")
	case spec.Issuer != "" && spec.AnyOf == nil:
		c.fail(at+".issuer", "goes without anyOf", "the actors' sub under anyOf")
	}
	r.actors = &actors{deny: r.deny, any: spec.Any, none: spec.None, subjects: map[string]bool{}, issuer: spec.Issuer}
	for _, s := range spec.AnyOf {
		r.actors.subjects[s] = true
	}
}

// hold reports whether the token of these claims is used by one of the actors.
func (a *actors) hold(claims Claims) bool {
	act, has := claims[actClaim]
	if !has {
		return a.none
	}
	who, ok := readActor(act)
	if !ok {
		return a.deny
	}
	if a.any {
		return true
	}
	sub, _ := who["sub"].(string)
	return a.subjects[sub] && a.ofIssuer(who, claims.text("iss"))
}

// ofIssuer reports whether an actor is of the issuer that the rule means. The same sub at another issuer may be somebody else.
func (a *actors) ofIssuer(who map[string]any, tokens string) bool {
	issuer, has := who["iss"].(string)
	if !has {
		issuer = tokens
	}
	if issuer == "" && a.deny {
		return true // nobody says whose the actor is
	}
	if a.issuer == "" {
		return a.deny || issuer == tokens
	}
	return issuer == a.issuer
}

// readActor returns the claims about the party that acts now. ok is false for what does not name one.
func readActor(act any) (who map[string]any, ok bool) {
	who, ok = act.(map[string]any)
	if !ok {
		return nil, false
	}
	if sub, _ := who["sub"].(string); sub == "" {
		return nil, false
	}
	if iss, has := who["iss"]; has {
		if text, _ := iss.(string); text == "" {
			return nil, false
		}
	}
	return who, true
}

// withoutPrior takes out who acted before: that is told for information, and must not count (RFC 8693 section 4.1).
func withoutPrior(who map[string]any) map[string]any {
	if _, has := who[actClaim]; !has {
		return who
	}
	now := maps.Clone(who)
	delete(now, actClaim)
	return now
}
