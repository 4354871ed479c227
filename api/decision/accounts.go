package decision

import (
	"fmt"
	"strings"
)

// accounts is the service accounts that a rule asks for.
type accounts struct {
	subjects   map[string]bool // "system:serviceaccount:shop:cart"
	namespaces []string        // "system:serviceaccount:shop:", of "shop/*"
	issuers    IssuerSet       // those with keys.kubernetes: nobody else may speak of this cluster's accounts
}

const accountPrefix = "system:serviceaccount:"

// hold reports whether the token is for one of the accounts.
func (a *accounts) hold(t token) bool {
	if t.verified&a.issuers == 0 {
		return false
	}
	sub, _ := t.claims["sub"].(string)
	if a.subjects[sub] {
		return true
	}
	for _, prefix := range a.namespaces {
		if len(sub) > len(prefix) && strings.HasPrefix(sub, prefix) {
			return true
		}
	}
	return false
}

// addServiceAccounts reads the service accounts of a rule. An allow rule needs an issuer that can vouch for them.
func (c *compiler) addServiceAccounts(r *rule, at string, list []string) {
	c.checkStrings(at, list, bounds{items: 256, min: 1, max: 317})
	if len(list) == 0 {
		return
	}
	a := &accounts{subjects: map[string]bool{}}
	for i, text := range list {
		namespace, name, found := strings.Cut(text, "/")
		switch {
		case !found || !label(namespace) || name != "*" && !subdomain(name):
			c.fail(fmt.Sprintf("%s[%d]", at, i), fmt.Sprintf("%q is no service account", clip(text)),
				`namespace/name, such as "shop/cart", or "shop/*" for every one of a namespace`)
		case name == "*":
			a.namespaces = append(a.namespaces, accountPrefix+namespace+":")
		default:
			a.subjects[accountPrefix+namespace+":"+name] = true
		}
	}
	r.accounts = a
	if !r.deny && r.issuers&c.kubernetes() == 0 {
		c.fail(at, "asks for service accounts, but no issuer that the rule takes has keys.kubernetes",
			"an issuer with keys: {kubernetes: {}} under spec.issuers")
	}
}

// trustAccounts says of each rule that asks for service accounts which issuers may vouch for them: of an allow rule those
// that it trusts, of a deny rule all.
func (c *compiler) trustAccounts() {
	all := c.kubernetes()
	for _, r := range c.program.rules {
		if r == nil || r.accounts == nil {
			continue
		}
		r.accounts.issuers = all
		if !r.deny {
			r.accounts.issuers &= r.issuers
		}
	}
}

// kubernetes returns the issuers so far that are this cluster's own.
func (c *compiler) kubernetes() (set IssuerSet) {
	for i := range c.program.issuers {
		if c.program.issuers[i].Spec.Keys.Kubernetes != nil {
			set = set.With(i)
		}
	}
	return set
}

// label reports whether s is a DNS label (RFC 1123 section 2.1).
func label(s string) bool {
	return len(s) <= 63 && subdomain(s) && !strings.Contains(s, ".")
}

// subdomain reports whether s may be the name of an object of Kubernetes: DNS labels with dots between.
func subdomain(s string) bool {
	for part := range strings.SplitSeq(s, ".") {
		ok := part != "" && part[0] != '-' && part[len(part)-1] != '-'
		for i := range len(part) {
			b := part[i]
			ok = ok && (b >= 'a' && b <= 'z' || b >= '0' && b <= '9' || b == '-')
		}
		if !ok {
			return false
		}
	}
	return len(s) <= 253
}
