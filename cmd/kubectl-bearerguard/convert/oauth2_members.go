package convert

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/bearerguard/bearerguard/api/policy"
)

// reading is how oauth2-proxy reads the tokens of some issuers.
type reading struct {
	issuers       []string // nil: all
	email, groups string
	unverified    bool // an address that is not verified is good enough
	roles         bool // roles count as groups
	typed         bool // claims of other types than usual spoil the token
}

// readings are those of the provider's tokens, by its flags, and of the other issuers', whose claims have the usual names.
func (o *oauth2) readings(all []policy.Issuer) []reading {
	main := reading{email: o.or("oidc-email-claim", "email"), groups: o.or("oidc-groups-claim", "groups"), unverified: o.on("insecure-oidc-allow-unverified-email", false),
		roles: o.text("provider") == "keycloak-oidc" && len(o.list("allowed-role")) > 0}
	if id := o.or("user-id-claim", "email"); main.email == "email" && id != "email" {
		main.email = id
	}
	others := reading{email: "email", groups: "groups", typed: true}
	for _, x := range all {
		if x.Name == o.main {
			main.issuers = append(main.issuers, x.Name)
		} else {
			others.issuers = append(others.issuers, x.Name)
		}
	}
	switch {
	case len(others.issuers) == 0:
		main.issuers = nil
		return []reading{main}
	case len(main.issuers) == 0:
		others.issuers = nil
		return []reading{others}
	case main.email == others.email && main.groups == others.groups && !main.unverified && !main.roles && len(o.list("allowed-group"))+len(o.list("allowed-role")) == 0:
		others.issuers = nil
		return []reading{others}
	}
	return []reading{main, others}
}

// members are the rules for those who have a token: each may need an email address of some domains, and one of some groups or roles.
func (o *oauth2) members(all []policy.Issuer) (out []policy.Rule) {
	for _, r := range o.readings(all) {
		base, ok := o.email(r)
		if !ok {
			return nil
		}
		base.Issuers = r.issuers
		for _, one := range o.groups(r) {
			c := base
			if one.Claim != "" {
				c.Claims = append(slices.Clone(base.Claims), one.ClaimCondition)
			}
			if one.list != "" {
				c.When = also(c.When, fmt.Sprintf("type(%[1]s) == list && %[1]s.all(r, type(r) == string)", one.list))
			}
			rule := policy.Rule{Name: o.names.unique("members"), Allow: &policy.Allow{Conditions: c}}
			if m := o.limit(policy.Match{Paths: o.below}); !emptyMatch(m) {
				rule.Match = []policy.Match{m}
			}
			rule.Allow.Authenticated = !rule.Allow.AsksToken()
			if rule, ok := o.namedRule(rule, o.settings.node); ok {
				out = append(out, rule)
			}
		}
	}
	return out
}

// membership is a condition on a group or a role.
type membership struct {
	policy.ClaimCondition

	list string // the claim, as CEL, if it has to be a list of texts
}

// also joins two expressions.
func also(a, b string) string {
	if a == "" {
		return b
	}
	return "(" + a + ") && (" + b + ")"
}

// groups are alternatives, of which a user needs one. An empty one is no condition.
func (o *oauth2) groups(r reading) (out []membership) {
	groups, roles := o.list("allowed-group"), o.list("allowed-role")
	if len(groups) > 0 {
		out = append(out, membership{ClaimCondition: policy.ClaimCondition{Claim: claimPath(strings.Split(r.groups, ".")), AnyOf: union(nil, groups)}})
	}
	if !r.roles {
		if len(roles) > 0 {
			o.at("allowed-role").note(LeftOut, "counts for tokens of the provider keycloak-oidc alone; others are let in by allowed-group")
		}
		if len(groups)+len(roles) > 0 {
			return out
		}
	}
	for _, role := range roles {
		if !r.roles {
			break
		}
		path := []string{"realm_access", "roles"}
		if client, name, of := strings.Cut(role, ":"); of {
			path, role = []string{"resource_access", client, "roles"}, name
		}
		out = append(out, membership{policy.ClaimCondition{Claim: claimPath(path), AnyOf: []string{role}}, celPath(path)})
	}
	if len(out) == 0 {
		out = []membership{{}}
	}
	return out
}

// email is what the address of a user must be. It reports false if nobody passes.
func (o *oauth2) email(r reading) (c policy.Conditions, ok bool) {
	domains := o.list("email-domain")
	path := strings.Split(r.email, ".")
	var when []string
	if r.email == "email" && !r.unverified {
		when = append(when, `!("email_verified" in claims) || claims.email_verified == true`)
	}
	if r.typed {
		for _, name := range []string{"email", "preferred_username", "acr"} {
			when = append(when, fmt.Sprintf(`!(%[1]q in claims) || type(claims.%[1]s) == string`, name))
		}
		when = append(when, `!("groups" in claims) || type(claims.groups) == list && claims.groups.all(g, type(g) == string)`)
	}
	switch {
	case slices.Contains(domains, "*"):
		when = append(when, anyText(path, []string{"sub"}))
	case len(domains) == 0:
		o.settings.node.note(LeftOut, "names no --email-domain, so nobody is let in; oauth2-proxy does not start so. --email-domain=* is every address")
		return c, false
	default:
		c.Claims = []policy.ClaimCondition{{Claim: claimPath(path), Matches: `[^@]*@(` + strings.Join(domainsOf(domains), "|") + ")"}}
		when = append(when, fmt.Sprintf("type(%s) == string", celPath(path)))
	}
	for _, one := range when {
		c.When = also(c.When, one)
	}
	return c, true
}

// anyText says that one of two claims is a text that is not empty: a user has a name.
func anyText(a, b []string) string {
	return "(" + userClaim{path: a}.text() + ") || (" + userClaim{path: b}.text() + ")"
}

// domainsOf writes domains as regular expressions; those that begin with a dot or a star are all below.
func domainsOf(domains []string) (out []string) {
	for _, d := range domains {
		if strings.HasPrefix(d, ".") || strings.HasPrefix(d, "*.") {
			out = append(out, `[^@]*`+anyCase(strings.TrimPrefix(d, "*")))
		} else {
			out = append(out, anyCase(d))
		}
	}
	return out
}

// anyCase is an expression for a text in upper or lower case. (?i) would fit more: to it the long s of U+017F is an s.
func anyCase(text string) string {
	var b strings.Builder
	for _, c := range text {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' {
			b.WriteString("[" + strings.ToLower(string(c)) + strings.ToUpper(string(c)) + "]")
		} else {
			b.WriteString(regexp.QuoteMeta(string(c)))
		}
	}
	return b.String()
}
