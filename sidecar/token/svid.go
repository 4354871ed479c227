package token

import (
	"strings"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/decision/spiffe"
)

// ofTrustDomain reports whether sub is said to be a SPIFFE ID of the trust domain, well-formed or not.
func ofTrustDomain(sub, domain string) bool {
	rest, ok := strings.CutPrefix(sub, spiffe.Scheme+domain)
	return ok && (rest == "" || rest[0] == '/')
}

// checkType checks typ. That of a JWT-SVID is optional, and JWT or JOSE (JWT-SVID section 2.3).
func (v *Verifier) checkType(h *header) decision.Refusal {
	if v.trustDomain == "" {
		return h.checkType(v.types)
	}
	if !h.hasTyp {
		return decision.Refusal{}
	}
	return h.checkType([]string{"jwt", "jose"})
}

// checkSVID wants sub to be a SPIFFE ID of the trust domain (JWT-SVID section 3.1), and aud, which is compared elsewhere.
func (v *Verifier) checkSVID(r *registered) decision.Refusal {
	if v.trustDomain == "" {
		return decision.Refusal{}
	}
	if domain, _, ok := spiffe.Parse(r.sub); ok && domain == v.trustDomain {
		return decision.Refusal{}
	}
	return refuse(decision.BadClaim, fault{subject: "sub", problem: "is no SPIFFE ID of the trust domain " + v.trustDomain, has: r.sub})
}
