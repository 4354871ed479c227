package decision

import (
	"encoding/json"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strconv"
	"time"

	"github.com/bearerguard/bearerguard/api/policy"
)

// authTime is the claim that says when the user logged in (OpenID Connect Core 1.0 section 2, RFC 9470 section 6.1).
const authTime = "auth_time"

// maxLoginAge is the greatest authentication.maxAge.
const maxLoginAge = 8760 * time.Hour

// login is how a rule wants the user to have logged in (RFC 9470).
type login struct {
	spec    *policy.Authentication
	issuers []Issuer // of the Program
}

// ages reports whether a token that fits may cease to, as time goes on.
func (l *login) ages() bool { return l != nil && l.spec.MaxAge != nil }

// addLogin reads what a rule asks of the user's log-in. A client is told of it in quoted strings, so values that break them
// are refused.
func (c *compiler) addLogin(r *rule, at string, spec *policy.Authentication) {
	if spec == nil {
		return
	}
	if spec.ACR == nil && spec.MaxAge == nil {
		c.fail(at, "is empty", "acr, maxAge or both")
	}
	c.checkStrings(at+".acr", spec.ACR, bounds{items: 16, min: 1, max: 256})
	for i, acr := range spec.ACR {
		if acr != "" && !scopeToken(acr) {
			c.fail(fmt.Sprintf("%s.acr[%d]", at, i), fmt.Sprintf("%q cannot be one of acr_values", clip(acr)),
				`printable ASCII without spaces, " and \ (RFC 9470 section 3)`)
		}
	}
	if d := spec.MaxAge; d != nil && (d.Duration < time.Second || d.Duration > maxLoginAge || d.Duration%time.Second != 0) {
		c.fail(at+".maxAge", fmt.Sprintf("is %s", d.Duration), "whole seconds from 1s to 8760h")
	}
	r.login = &login{spec: spec}
	c.program.logins = true
}

// linkLogins gives rules the issuers, once all are known.
func (c *compiler) linkLogins() {
	for _, r := range c.program.rules {
		if r != nil && r.login != nil {
			r.login.issuers = c.program.issuers
		}
	}
}

// checkLogin reports whether the user logged in as the rule wants it. How long ago that was counts only for an inquiry:
// else it is looked at with each request.
func (s *settlement) checkLogin() bool {
	l := s.rule.login
	if l == nil {
		return true
	}
	before := s.holds
	s.holds = true
	if l.spec.ACR != nil {
		acr, ok := s.token.claims["acr"].(string)
		s.check(".authentication.acr", ok && slices.Contains(l.spec.ACR, acr), "acr is none of these")
	}
	if l.ages() && s.asked != nil {
		s.check(".authentication.maxAge", s.present() && s.rule.recent(s.token, nil, s.asked.now),
			"auth_time is missing, longer ago than that, or in the future")
	}
	holds := s.holds
	s.holds = before && holds
	return holds
}

// recent reports whether the user logged in no longer ago than the rule wants it. The clock skew is that of the issuer that
// vouches for the token; of several, the one that tolerates most. reads are of the claims that the token keeps, if it does.
func (r *rule) recent(t token, reads *reads, now time.Time) bool {
	claim := t.claims[authTime]
	if t.kept != nil {
		claim, _ = reads.find(t.kept, authTime)
	}
	at, ok := numericDate(claim)
	if !ok {
		return false
	}
	var skew time.Duration
	for set := uint64(t.verified & r.issuers); set != 0; set &= set - 1 {
		skew = max(skew, r.login.issuers[bits.TrailingZeros64(set)].Spec.Skew())
	}
	return !now.After(at.Add(r.login.spec.MaxAge.Duration+skew)) && !now.Add(skew).Before(at)
}

// numericDate reads a NumericDate (RFC 7519 section 2): seconds from 1970 to 9999.
func numericDate(claim any) (time.Time, bool) {
	const latest = 253402300799
	n, ok := claim.(json.Number)
	if !ok {
		return time.Time{}, false
	}
	f, err := strconv.ParseFloat(string(n), 64)
	if err != nil || !(f >= 0 && f <= latest) {
		return time.Time{}, false
	}
	whole, fraction := math.Modf(f)
	return time.Unix(int64(whole), int64(fraction*1e9)), true
}
