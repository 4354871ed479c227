package token

import (
	"strconv"
	"strings"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/decision/spiffe"
)

// Named is an issuer of a policy, for causes.
type Named struct {
	// Policy is "namespace/name", Name the issuer's in it. Both may be empty.
	Policy, Name string
	// Issuer is what iss must be; empty where any will do.
	Issuer string
}

// String names the issuer, and where it is.
func (n Named) String() string {
	text := strconv.Quote(n.Issuer)
	if n.Policy != "" {
		text += " (issuer " + n.Name + " of " + n.Policy + ")"
	}
	return text
}

// Stranger is the Cause of a signed token whose iss none of these issuers has.
func (t *Token) Stranger(issuers []Named) decision.Cause {
	c := &t.jws.claims
	return stranger{c.iss, c.hasIss, strings.HasPrefix(c.sub, spiffe.Scheme), issuers}
}

type stranger struct {
	iss     string
	has     bool
	svid    bool // sub is a SPIFFE ID
	issuers []Named
}

// String names the issuer that came nearest and how it differs, without the token's iss.
func (s stranger) String() string {
	if !s.has && s.svid {
		return "sub is a SPIFFE ID of a trust domain that no issuer has under keys.spiffe"
	}
	if !s.has {
		return "iss is missing" + s.wanted()
	}
	if n, how := s.nearest(); how != "" {
		return "iss differs from " + n.String() + " by " + how
	}
	return "iss is no issuer's of the policies" + s.wanted()
}

// Detail tells both names.
func (s stranger) Detail() string {
	if !s.has {
		return s.String()
	}
	if n, how := s.nearest(); how != "" {
		return "the token says iss " + show(s.iss) + ", the policy " + n.String() + ": they differ by " + how
	}
	if len(s.issuers) == 1 {
		return "the token says iss " + show(s.iss) + ", the policy " + s.issuers[0].String()
	}
	return "the token says iss " + show(s.iss) + ", which no issuer of the policies has" + s.wanted()
}

// Nearest returns the issuer whose name differs least from the token's; false if none is near.
func (s stranger) Nearest() (Named, bool) {
	n, how := s.nearest()
	return n, s.has && how != ""
}

func (s stranger) wanted() string {
	names := make([]string, 0, len(s.issuers))
	for _, n := range s.issuers {
		names = append(names, n.Issuer)
	}
	if len(names) == 0 {
		return ""
	}
	return "; want " + either(names)
}

// nearest returns the issuer whose name differs least from the token's, and how; how is empty if none is near.
func (s stranger) nearest() (Named, string) {
	at, how := nearest(s.iss, len(s.issuers), func(i int) string { return s.issuers[i].Issuer })
	if how == "" {
		return Named{}, ""
	}
	return s.issuers[at], how
}

// addressee is the Cause of a token that is for somebody else.
type addressee struct {
	aud   any // a string or a list of strings
	has   bool
	wants []string // audiences of the policy
}

// String says what the policy wants, and how near the token comes.
func (a addressee) String() string { return a.problem() + "; want " + either(a.wants) }

// Detail says what the token has as well.
func (a addressee) Detail() string {
	if !a.has {
		return a.String()
	}
	return a.problem() + ": the token has " + show(a.aud) + "; want " + either(a.wants)
}

// compared is how many audiences of a token are compared with the policy's.
const compared = 16

func (a addressee) problem() string {
	if !a.has {
		return "aud is missing"
	}
	problem, n := "aud has none of the audiences", 0
	audience(a.aud, func(s string) {
		if n++; n > compared {
			return
		}
		if at, how := nearest(s, len(a.wants), func(i int) string { return a.wants[i] }); how != "" {
			problem = "aud has none of the audiences; it differs from " + strconv.Quote(a.wants[at]) + " by " + how
		}
	})
	if n == 0 {
		problem = "aud is an empty list"
	}
	return problem
}

// nearest returns which of n names differs least from text, and how; how is empty if none is near.
func nearest(text string, n int, name func(int) string) (at int, how string) {
	all := differences()
	best := len(all)
	for i := range n {
		for rank, d := range all[:best] {
			if d.between(text, name(i)) {
				at, how, best = i, d.how, rank
				break
			}
		}
	}
	return at, how
}

// difference is a way in which two names that people take for one differ.
type difference struct {
	how     string
	between func(a, b string) bool
}

// differences are from the least to the greatest.
func differences() []difference {
	under := func(change func(string) string) func(a, b string) bool {
		return func(a, b string) bool { return a != "" && b != "" && change(a) == change(b) }
	}
	return []difference{
		{"a final slash", under(trimSlash)},
		{"white space at an end", under(strings.TrimSpace)},
		{"upper and lower case", strings.EqualFold},
		{"the scheme (http, https or none)", under(trimScheme)},
		{"the port", under(trimPort)},
		{"scheme, port, case or a final slash", under(func(s string) string {
			return strings.ToLower(trimSlash(trimPort(trimScheme(strings.TrimSpace(s)))))
		})},
		{"what follows the host", under(func(s string) string {
			host, _, _ := strings.Cut(trimScheme(s), "/")
			return strings.ToLower(host)
		})},
	}
}

func trimSlash(s string) string { return strings.TrimRight(s, "/") }

func trimScheme(s string) string {
	return strings.TrimPrefix(strings.TrimPrefix(s, "https://"), "http://")
}

// trimPort takes the port off a URL.
func trimPort(s string) string {
	scheme := s[:len(s)-len(trimScheme(s))]
	host, path, slash := strings.Cut(s[len(scheme):], "/")
	host, _, _ = strings.Cut(host, ":")
	if slash {
		return scheme + host + "/" + path
	}
	return scheme + host
}
