package convert

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/bearerguard/bearerguard/api/policy"
)

// apiserver is AuthenticationConfigurations of Kubernetes' API server (apiserver.config.k8s.io/v1 and v1beta1). They say who a user is, and
// not what users may do: so no rule lets anybody in, unless that is asked for. What they say of a token becomes deny rules, which
// hold whatever rules are added.
type apiserver struct {
	objects *objects
	configs []*object
}

func (a *apiserver) takes(x *object) (bool, error) {
	if x.kind != "AuthenticationConfiguration" || !strings.HasPrefix(x.version, "apiserver.config.k8s.io/") {
		return false, nil
	}
	a.configs = append(a.configs, x)
	return true, nil
}

// algorithms are those that the API server takes.
var algorithms = []policy.Algorithm{"RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512"}

func (a *apiserver) policies() (out []Policy, err error) {
	o := a.objects.options
	if len(a.configs) > 1 {
		return nil, a.configs[1].node.refuse("is another AuthenticationConfiguration; an API server has one")
	}
	x := a.configs[0]
	if len(o.Selector) == 0 {
		return nil, x.node.refuse("is about the API server, and says nothing of the pods that take the same tokens; give --selector with their labels")
	}
	n := x.node
	for _, known := range []string{"kind", "apiVersion", "metadata"} {
		n.field(known)
	}
	n.field("anonymous").note(LeftOut, "is about the API server's own paths; for those of the app that need no token write a rule with allow: {anonymous: true}")
	c := &authentication{group: group{place: place{name: cmp.Or(x.name, "api-server-users"), namespace: x.namespace}, node: n, names: names{}}, used: names{}}
	var spec policy.Spec
	for _, j := range n.field("jwt").items() {
		c.issuer(&spec, j)
	}
	if n.unknown() {
		n.rest()
		return nil, n.refuse("has fields that are not known: what they would limit is not known either")
	}
	c.headers(&spec)
	switch {
	case len(spec.Issuers) == 0:
		n.note(LeftOut, "no issuer of it is trusted, so the policy refuses every request")
	case o.AllowAuthenticated:
		n.note(Differs, "says who users are; what they may do is RBAC's there. The rule %q lets in every user: add conditions", "authenticated")
		spec.Rules = append(spec.Rules, policy.Rule{Name: c.names.unique("authenticated"), Allow: &policy.Allow{Authenticated: true}})
	default:
		n.note(LeftOut, "says who users are; what they may do is RBAC's there, so no rule lets anybody in. Add rules, or convert with --allow-authenticated for one that lets in every user")
	}
	made := Policy{Metadata: Metadata{(names{}).unique(c.name), c.namespace}, Spec: Spec{Spec: spec}}
	made.Spec.Selector.MatchLabels = o.Selector
	return []Policy{made}, nil
}

// authentication is an AuthenticationConfiguration while it is converted.
type authentication struct {
	group
	used  names
	users []user // of the issuers
}

// user is what an issuer's tokens say of a user: claims, or expressions.
type user struct {
	node              *node // claimMappings
	name, groups, uid mapping
	values            []*node // expressions of extra and of groups: a text or texts
}

// mapping is one of claimMappings: a claim and what goes before it, or an expression. The zero mapping is not given.
type mapping struct {
	userClaim
	expression string
}

// issuer converts an entry of jwt. What it says of tokens that cannot be said here has its tokens not trusted.
func (c *authentication) issuer(spec *policy.Spec, n *node) {
	from := n.field("issuer")
	x := policy.Issuer{Name: "issuer", Issuer: from.field("url").text(), Algorithms: algorithms, Keys: policy.KeySource{Discovery: &policy.Discovery{URL: from.field("discoveryURL").text()}}}
	for _, a := range from.field("audiences").items() {
		x.Audiences = append(x.Audiences, a.text())
	}
	if match := from.field("audienceMatchPolicy"); match != nil && match.text() != "MatchAny" && match.text() != "" {
		c.untrusted(match, "the audiences are compared in a way that is not known")
		return
	}
	from.field("egressSelectorType").note(Differs, "is how the API server reaches the issuer; a sidecar's controller reaches it over the cluster's network")
	host := hostOf(x.Issuer)
	if ca := from.field("certificateAuthority"); ca != nil {
		x.CASecretRef = &policy.KeyRef{Name: (names{}).unique(c.name + "-" + host + "-ca"), Key: "ca.crt"}
		ca.note(Differs, "put these certificates into the Secret %s/%s as ca.crt", c.namespace, x.CASecretRef.Name)
	}
	if err := compiles(policy.Spec{Issuers: []policy.Issuer{x}}); err != nil || from.unknown() {
		from.rest()
		c.untrusted(from, strings.ReplaceAll(fmt.Sprint("it has fields that are not known, or: ", err), "\n", "; "))
		return
	}
	x.Name = c.used.unique(host)
	u, why := readUser(n.field("claimMappings"))
	var rules []policy.Rule
	if why == "" {
		rules, why = c.rules(n, x, u)
	}
	if why == "" && n.unknown() {
		n.rest()
		why = "it has fields that are not known"
	}
	if why != "" {
		c.untrusted(n, why)
		return
	}
	spec.Issuers, spec.Rules, c.users = append(spec.Issuers, x), append(spec.Rules, rules...), append(c.users, u)
}

func hostOf(url string) string {
	_, host, found := strings.Cut(url, "://")
	if !found {
		return url
	}
	return host
}

func (c *authentication) untrusted(n *node, why string) {
	n.note(LeftOut, "its tokens are not trusted: %s", why)
}

// readUser reads claimMappings. It says why it cannot.
func readUser(n *node) (u user, why string) {
	u.node = n
	var broken bool
	read := func(name string) (m mapping) {
		f := n.field(name)
		m.claim, m.prefix, m.expression = f.field("claim").text(), f.field("prefix").text(), f.field("expression").text()
		m.path = []string{m.claim}
		broken = broken || f.unknown() || f != nil && (m.claim == "") == (m.expression == "")
		return m
	}
	u.name, u.groups, u.uid = read("username"), read("groups"), read("uid")
	for _, e := range n.field("extra").items() {
		if value := e.field("valueExpression"); value != nil {
			u.values = append(u.values, value)
		}
		e.note(LeftOut, "is not told to the app: a header here comes from a claim; add it to forward.headers")
	}
	if value := n.field("groups").field("expression"); value != nil {
		u.values = append(u.values, value)
	}
	switch {
	case n == nil || broken || n.unknown():
		n.rest()
		return u, "claimMappings has no claim or expression, both of them, or fields that are not known"
	case u.name.claim == "" && u.name.expression == "":
		return u, "claimMappings.username is missing"
	}
	return u, ""
}

// refusals are deny rules for the tokens of an issuer, or why they cannot be said. Each denies, so that an error denies too.
type refusals struct {
	*authentication
	issuer policy.Issuer
	rules  []policy.Rule
	why    string
}

// deny adds a rule.
func (r *refusals) deny(at *node, name, when string) {
	rule := policy.Rule{Name: r.names.unique(r.issuer.Name + "-" + name), Deny: &policy.Conditions{Issuers: []string{r.issuer.Name}, When: when}}
	if err := compiles(policy.Spec{Issuers: []policy.Issuer{r.issuer}, Rules: []policy.Rule{rule}}); err != nil {
		r.cannot(at, "an AuthPolicy does not take it: "+strings.ReplaceAll(err.Error(), "\n", "; "))
		return
	}
	r.rules = append(r.rules, rule)
}

// cannot notes what cannot be said of tokens, which are not trusted then.
func (r *refusals) cannot(at *node, why string) {
	at.note(LeftOut, "%s", why)
	r.why = "a condition on them cannot be said"
}

const whyDivides = "divides, or has comments or texts of a kind that is not read; numbers are of other types here"

// rules are what a token must not be.
func (c *authentication) rules(n *node, x policy.Issuer, u user) (out []policy.Rule, why string) {
	r := &refusals{authentication: c, issuer: x}
	for _, list := range []string{"claimValidationRules", "userValidationRules"} {
		if f := n.field(list); f != nil && len(f.items()) == 0 && (len(f.yaml.Content) > 0 || f.text() != "") {
			r.cannot(f, "is no list")
		}
	}
	for i, rule := range n.field("claimValidationRules").items() {
		r.claimRule(rule, fmt.Sprintf("claim-rule-%d", i))
	}
	r.user(u)
	for i, rule := range n.field("userValidationRules").items() {
		text := rule.field("expression")
		rule.field("message")
		over, ok := u.over(text.text())
		if rule.unknown() || !ok {
			rule.rest()
			r.cannot(rule, "is about something of the user that is no claim here")
			continue
		}
		r.deny(text, fmt.Sprintf("user-rule-%d", i), "!("+over+")")
	}
	return r.rules, r.why
}

// claimRule reads an entry of claimValidationRules.
func (r *refusals) claimRule(rule *node, name string) {
	claim, required, text := rule.field("claim"), rule.field("requiredValue"), rule.field("expression")
	rule.field("message")
	switch {
	case rule.unknown() || (claim == nil) == (text == nil) || text != nil && required != nil:
		rule.rest()
		r.cannot(rule, "is neither a claim with its value nor an expression")
	case claim != nil:
		path := []string{claim.text()}
		is := fmt.Sprintf("%s && type(%s) == string && %s", claimThere(path), celPath(path), anyOf([]value{{exact, required.text()}}, celPath(path)))
		r.deny(rule, name, "!("+is+")")
	case !sameCEL(text.text()):
		r.cannot(text, whyDivides)
	default:
		r.deny(text, name, "!("+text.text()+")")
	}
}

// user adds the rules that claimMappings imply.
func (r *refusals) user(u user) {
	switch name := u.node.field("username"); {
	case u.name.expression == "":
		r.rules = append(r.rules, nameless(r.issuer.Name, u.name.userClaim, r.names)...)
	case !sameCEL(u.name.expression):
		r.cannot(name, whyDivides)
	default:
		r.deny(name, "no-user-name", fmt.Sprintf(`type(%[1]s) != string || (%[1]s) == ""`, u.name.expression))
	}
	if u.groups.claim != "" {
		r.rules = append(r.rules, oddGroups(r.issuer.Name, u.groups.userClaim, r.names))
	}
	switch uid := u.node.field("uid"); {
	case u.uid.claim != "":
		r.deny(uid, "no-uid", "!("+u.uid.text()+")")
	case u.uid.expression != "" && !sameCEL(u.uid.expression):
		r.cannot(uid, whyDivides)
	case u.uid.expression != "":
		r.deny(uid, "no-uid", "type("+u.uid.expression+") != string")
	}
	for i, value := range u.values { // a token for which one cannot be evaluated is refused there
		if !sameCEL(value.text()) {
			r.cannot(value, whyDivides)
			continue
		}
		r.deny(value, fmt.Sprintf("mapping-%d", i), fmt.Sprintf("type(%[1]s) != string && !(type(%[1]s) == list && (%[1]s).all(g, type(g) == string))", value.text()))
	}
}

// headers tell the app who the user is, if all issuers agree on it: names with something before them are other names.
func (c *authentication) headers(spec *policy.Spec) {
	if len(c.users) == 0 {
		return
	}
	f := &policy.Forward{}
	for _, h := range []struct {
		name   string
		of     func(user) mapping
		format policy.HeaderFormat
	}{
		{"X-Remote-User", func(u user) mapping { return u.name }, ""},
		{"X-Remote-Group", func(u user) mapping { return u.groups }, policy.FormatCSV},
		{"X-Remote-Uid", func(u user) mapping { return u.uid }, ""},
	} {
		first := h.of(c.users[0])
		same := !slices.ContainsFunc(c.users, func(u user) bool { m := h.of(u); return m.claim != first.claim || m.prefix != "" || m.expression != "" })
		switch {
		case same && first.claim != "":
			f.Headers = append(f.Headers, policy.IdentityHeader{Name: h.name, Claim: claimPath(first.path), Format: h.format})
			continue
		case !same:
			c.users[0].node.note(LeftOut, "%s is not set, and removed from what clients send: an expression, a prefix, or issuers with other claims cannot be said in a header", h.name)
		}
		f.Headers = append(f.Headers, unset(h.name))
	}
	c.users[0].node.note(Differs, "tells the app what the API server tells its extensions: X-Remote-User, X-Remote-Group and X-Remote-Uid")
	spec.Forward = f
}
