package lint

import (
	"fmt"

	"github.com/bearerguard/bearerguard/api/policy"
)

// dodged warns of deny rules that clients get round by what they alone decide: a header that they leave out, a token that they
// leave out where a rule lets everybody in, a host that they do not name.
func (l *linter) dodged(rules []policy.Rule) {
	left := mostComparisons
	for i := range rules {
		d := &rules[i]
		if d.Deny == nil {
			continue
		}
		for j := range d.Match {
			l.dodgedByHeader(fmt.Sprintf("spec.rules[%d].match[%d]", i, j), &d.Match[j])
		}
		for j := range rules {
			a := &rules[j]
			if a.Allow == nil {
				continue
			}
			if left -= 2 * comparisons(a.Match, d.Match); left < 0 {
				return
			}
			if l.dodgedBy(fmt.Sprintf("spec.rules[%d]", i), d, a) {
				break
			}
		}
	}
}

// dodgedByHeader: what a client need not send denies it nothing.
func (l *linter) dodgedByHeader(at string, m *policy.Match) {
	for i := range m.Headers {
		h := &m.Headers[i]
		if h.Values != nil || h.Patterns != nil || h.Exists != nil && *h.Exists {
			l.add(DodgedDeny, fmt.Sprintf("%s.headers[%d]", at, i), fmt.Sprintf("a client that leaves out %s, or sends another value, is not denied", h.Name),
				"an allow rule that asks for what may come in, unless a proxy in front sets the header")
		}
	}
}

// dodgedBy warns of deny rule d, which allow rule a leaves a way round, and reports whether it did.
func (l *linter) dodgedBy(at string, d, a *policy.Rule) bool {
	switch {
	case a.Allow.Anonymous && asksToken(d.Deny) && (covers(a.Match, d.Match) || covers(d.Match, a.Match)):
		l.add(DodgedDeny, at+".deny", fmt.Sprintf("a client that leaves its token out is not denied: rule %s lets it in without one", a.Name),
			"conditions in the rules that allow, or a narrower match for "+a.Name)
		return true
	case !namesHosts(d.Match) || namesHosts(a.Match) || !covers(a.Match, hostless(d.Match)):
		return false
	}
	l.add(DodgedDeny, at+".match", fmt.Sprintf("a client that names another host is not denied, and rule %s lets it in under any", a.Name),
		"hosts in "+a.Name+", or none here")
	return true
}

// asksToken reports whether conditions hold for a client with a token alone.
func asksToken(c *policy.Conditions) bool {
	return c.Issuers != nil || c.Subjects != nil || c.ServiceAccounts != nil || c.SPIFFEIDs != nil || c.Scopes != nil || c.Claims != nil || c.Actors != nil
}

// namesHosts reports whether some entry asks for a host by its name.
func namesHosts(match []policy.Match) bool {
	for i := range match {
		if match[i].Hosts != nil {
			return true
		}
	}
	return false
}

// hostless returns the entries without their hosts.
func hostless(match []policy.Match) []policy.Match {
	out := make([]policy.Match, len(match))
	for i := range match {
		out[i] = match[i]
		out[i].Hosts = nil
	}
	return out
}
