package decision

import (
	"fmt"
	"slices"

	"github.com/bearerguard/bearerguard/api/decision/spiffe"
	"github.com/bearerguard/bearerguard/api/policy"
)

// checkSPIFFE checks a trust domain and where its bundle comes from.
func (c *compiler) checkSPIFFE(at string, s *policy.SPIFFE) {
	if !spiffe.TrustDomain(s.TrustDomain) {
		c.fail(at+".trustDomain", fmt.Sprintf("%q is no trust domain", clip(s.TrustDomain)),
			`a name such as example.org, in lower case and without spiffe://`)
	}
	if (s.BundleURL != "") == (s.ConfigMapRef != nil) {
		c.fail(at, "has both or neither of bundleURL and configMapRef", "exactly one of bundleURL, configMapRef")
	}
	if s.BundleURL != "" {
		c.checkURL(at+".bundleURL", s.BundleURL)
	}
	if s.ConfigMapRef != nil {
		c.checkRef(at+".configMapRef", s.ConfigMapRef)
		c.checkFormat(at+".configMapRef", s.ConfigMapRef, fmt.Sprintf("is %s, but a SPIFFE bundle is a JWK Set", s.ConfigMapRef.Format), policy.FormatJWKS)
	}
}

// svidConflicts returns the fields that contradict that an issuer's tokens are JWT-SVIDs.
func svidConflicts(spec *policy.Issuer) []Conflict {
	var out []Conflict
	conflict := func(contradicts bool, field, problem, want string) {
		if contradicts {
			out = append(out, Conflict{field, problem, want})
		}
	}
	const without = "the field left out"
	conflict(spec.AnyIssuer, "anyIssuer", "is true, but with keys.spiffe the trust domain says whose tokens are taken", without)
	conflict(spec.AnyAudience, "anyAudience", "is true, but a JWT-SVID is for its audience alone (JWT-SVID section 3.2)", "audiences given")
	conflict(spec.AllowMissingExp, "allowMissingExp", "is true, but a JWT-SVID has exp (JWT-SVID section 3.3)", without)
	conflict(spec.Types != nil, "types", "is given, but the typ of a JWT-SVID is JWT, JOSE or none (JWT-SVID section 2.3)", without)
	conflict(spec.Profile != "", "profile", "is given, but keys.spiffe says already what a token must be", without)
	conflict(spec.Introspection != nil, "introspection", "is given, but JWT-SVIDs are verified by keys.spiffe", without)
	conflict(spec.Decryption != nil, "decryption", "is given, but a JWT-SVID is signed only (JWT-SVID section 2)", without)
	for i, a := range spec.Algorithms {
		conflict(!a.SVID(), fmt.Sprintf("algorithms[%d]", i), fmt.Sprintf("is %s, which no JWT-SVID has (JWT-SVID section 2.1)", clip(string(a))),
			"RS256 to RS512, ES256 to ES512 or PS256 to PS512")
	}
	return out
}

// workloads are the SPIFFE IDs that a rule asks for.
type workloads struct {
	patterns []spiffe.Pattern
	issuers  IssuerSet // those with keys.spiffe: nobody else may speak of workloads
}

// hold reports whether the token is for one of the workloads. The issuer has seen to it that the ID is of its trust domain.
func (w *workloads) hold(t token) bool {
	if t.verified&w.issuers == 0 {
		return false
	}
	sub := t.claims.text("sub")
	return slices.ContainsFunc(w.patterns, func(p spiffe.Pattern) bool { return p.Fits(sub) })
}

// addSPIFFEIDs reads the SPIFFE IDs of a rule. An allow rule needs an issuer that can vouch for each.
func (c *compiler) addSPIFFEIDs(r *rule, at string, list []string) {
	c.checkStrings(at, list, bounds{items: 256, min: 1, max: spiffe.MaxID})
	if len(list) == 0 {
		return
	}
	w := &workloads{}
	for i, text := range list {
		here := fmt.Sprintf("%s[%d]", at, i)
		p, ok := spiffe.ParsePattern(text)
		if !ok {
			c.fail(here, fmt.Sprintf("%q is no SPIFFE ID", clip(text)),
				`an ID such as "spiffe://example.org/ns/shop/sa/cart", with * for whole segments of its path`)
			continue
		}
		w.patterns = append(w.patterns, p)
		if !r.deny && r.issuers&c.trustDomain(p.Domain()) == 0 {
			c.fail(here, "is of a trust domain that no issuer has which the rule takes",
				fmt.Sprintf("an issuer with keys: {spiffe: {trustDomain: %s}} under spec.issuers", clip(p.Domain())))
		}
	}
	r.workloads = w
}

// trustWorkloads says of each rule that asks for SPIFFE IDs which issuers may vouch for them: of an allow rule those that it
// trusts, of a deny rule all.
func (c *compiler) trustWorkloads() {
	all := c.trustDomain("")
	for _, r := range c.program.rules {
		if r == nil || r.workloads == nil {
			continue
		}
		r.workloads.issuers = all
		if !r.deny {
			r.workloads.issuers &= r.issuers
		}
	}
}

// trustDomain returns the issuers so far that have keys.spiffe with a trust domain, or with any.
func (c *compiler) trustDomain(name string) (set IssuerSet) {
	for i := range c.program.issuers {
		if s := c.program.issuers[i].Spec.Keys.SPIFFE; s != nil && (name == "" || s.TrustDomain == name) {
			set = set.With(i)
		}
	}
	return set
}
