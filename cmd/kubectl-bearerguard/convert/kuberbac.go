package convert

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/bearerguard/bearerguard/api/policy"
)

const whySAR = "the API server is asked about each request (SubjectAccessReview), and a sidecar asks nobody: what RBAC lets in is refused until a rule lets it in, " +
	"such as allow: {serviceAccounts: [monitoring/prometheus]}"

// convertRBAC converts a kube-rbac-proxy.
func convertRBAC(p *proxy) (spec policy.Spec, err error) {
	r := rbac{proxy: p}
	if len(p.list("allow-paths")) > 0 && len(p.list("ignore-paths")) > 0 {
		return spec, p.at("ignore-paths").refuse("goes with allow-paths not at all; kube-rbac-proxy does not start so")
	}
	if err := r.issuer(&spec); err != nil {
		return spec, err
	}
	for _, x := range spec.Issuers {
		r.group.issuers = append(r.group.issuers, issuer{spec: x})
		if err := compiles(policy.Spec{Issuers: []policy.Issuer{x}}); err != nil {
			return spec, p.at("oidc-issuer").refuse("%s", strings.ReplaceAll(err.Error(), "\n", "; "))
		}
	}
	r.headers(&spec)
	r.ignored(&spec)
	if err := r.authorization(&spec); err != nil {
		return spec, err
	}
	if p.up.path != "" {
		p.at("upstream").note(Differs, "has the path %s, which the proxy puts before what clients ask for; here they ask for the whole path, and no other is let in", p.up.path)
	}
	return spec, nil
}

type rbac struct {
	*proxy
	oidc   bool
	user   userClaim
	groups userClaim
}

// issuer says whose tokens are taken: those of an OpenID provider, or else of the cluster.
func (r *rbac) issuer(spec *policy.Spec) error {
	if issuer := r.text("oidc-issuer"); issuer != "" {
		r.oidc = true
		r.user = userClaim{r.or("oidc-username-claim", "email"), r.text("oidc-username-prefix"), []string{r.or("oidc-username-claim", "email")}}
		r.groups = userClaim{r.or("oidc-groups-claim", "groups"), r.text("oidc-groups-prefix"), []string{r.or("oidc-groups-claim", "groups")}}
		x := policy.Issuer{Name: "oidc", Issuer: issuer, Audiences: []string{r.text("oidc-clientID")}, Keys: policy.KeySource{Discovery: &policy.Discovery{}}}
		for _, alg := range r.list("oidc-sign-alg") {
			x.Algorithms = append(x.Algorithms, policy.Algorithm(alg))
		}
		if len(x.Algorithms) == 0 {
			x.Algorithms = []policy.Algorithm{"RS256"}
		}
		if file := r.text("oidc-ca-file"); file != "" {
			x.CASecretRef = &policy.KeyRef{Name: (names{}).unique(r.name + "-oidc-ca"), Key: "ca.crt"}
			r.at("oidc-ca-file").note(Differs, "put the certificates into the Secret %s/%s as ca.crt", r.namespace, x.CASecretRef.Name)
		}
		spec.Issuers = []policy.Issuer{x}
		spec.Rules = append(spec.Rules, nameless("oidc", r.user, r.names)...)
		spec.Rules = append(spec.Rules, oddGroups("oidc", r.groups, r.names))
		return nil
	}
	cluster := r.objects.options.ClusterIssuer
	if cluster == "" {
		return r.settings.node.refuse("takes tokens of the cluster (TokenReview), and whose these are is not in the files; say it with --cluster-issuer: " +
			"kubectl get --raw /.well-known/openid-configuration tells it as issuer")
	}
	x := policy.Issuer{Name: "cluster", Issuer: cluster, Audiences: union(nil, r.list("auth-token-audiences")), Keys: policy.KeySource{Kubernetes: &policy.KubernetesKeys{}}}
	if len(x.Audiences) == 0 {
		x.Audiences = []string{cluster}
		r.settings.node.note(Differs, "has no --auth-token-audiences, so it takes tokens that are for the API server itself, whose audience is the issuer as a rule; "+
			"better have clients mount a token for this app (projected serviceAccountToken), and name its audience")
	}
	r.settings.node.note(Stricter, "takes every token that the API server does (TokenReview); here those of service accounts alone count, mounted into pods that still exist")
	spec.Issuers = []policy.Issuer{x}
	return nil
}

// headers tell the app who calls.
func (r *rbac) headers(spec *policy.Spec) {
	if !r.on("auth-header-fields-enabled", false) {
		return
	}
	user, groups := r.or("auth-header-user-field-name", "x-remote-user"), r.or("auth-header-groups-field-name", "x-remote-groups")
	f := &policy.Forward{}
	at := r.at("auth-header-fields-enabled")
	switch {
	case !r.oidc:
		f.Headers = append(f.Headers, policy.IdentityHeader{Name: user, Claim: "sub"})
	case r.user.prefix == "":
		f.Headers = append(f.Headers, policy.IdentityHeader{Name: user, Claim: claimPath(r.user.path)})
	default:
		f.Headers = append(f.Headers, unset(user))
		at.note(LeftOut, "%s would have %q before the name, which no header here has; it is removed from what clients send, and not set", user, r.user.prefix)
	}
	if r.oidc && r.groups.prefix == "" && r.text("auth-header-groups-field-separator") == "," {
		f.Headers = append(f.Headers, policy.IdentityHeader{Name: groups, Claim: claimPath(r.groups.path), Format: policy.FormatCSV})
	} else {
		f.Headers = append(f.Headers, unset(groups))
		at.note(LeftOut, "%s is removed from what clients send, and not set: groups come from a claim, without a prefix and with commas between them alone", groups)
	}
	spec.Forward = f
}

// ignored are the paths that need no token.
func (r *rbac) ignored(spec *policy.Spec) {
	if paths := r.patterns("ignore-paths"); len(paths) > 0 {
		spec.Rules = append(spec.Rules, policy.Rule{Name: r.names.unique("ignored-paths"), Match: []policy.Match{r.limit(policy.Match{Paths: paths})},
			Allow: &policy.Allow{Anonymous: true, IgnoreToken: true}})
	}
}

// patterns are paths of a flag, as path.Match reads them, which templates can say.
func (r *rbac) patterns(name string) (out []string) {
	for _, p := range r.list(name) {
		plain := strings.HasPrefix(p, "/") && plainPath(strings.ReplaceAll(p, "*", "x"))
		for segment := range strings.SplitSeq(p, "/") {
			plain = plain && strings.Count(segment, "*") <= 1
		}
		if !plain {
			r.at(name).note(LeftOut, "%s is no path that a template can say, so it is not let in", p)
			continue
		}
		out = append(out, r.up.path+p)
	}
	return union(nil, out)
}

// authorization reads --config-file. What it does not let in by itself, the API server would be asked about.
func (r *rbac) authorization(spec *policy.Spec) error {
	n := r.config.field("authorization")
	if r.config != nil && r.config.unknown() {
		r.config.rest()
		return r.config.refuse("has members that are not known")
	}
	resource := n.field("resourceAttributes")
	rewrites := n.field("rewrites")
	for i, entry := range n.field("static").items() {
		rule, ok := r.static(entry, resource, rewrites, i)
		if !ok {
			continue
		}
		spec.Rules = append(spec.Rules, rule)
	}
	if n.unknown() {
		n.rest()
		return n.refuse("has fields that are not known")
	}
	switch {
	case resource != nil:
		resource.note(LeftOut, "%s", whySAR)
	case n != nil:
		n.note(LeftOut, "where no static rule fits, %s", whySAR)
	default:
		r.settings.node.note(LeftOut, "%s", whySAR)
	}
	rewrites.note(LeftOut, "the request says which object the API server is asked about; write a rule with when over request.query, request.headers and claims")
	return nil
}

// static reads an entry of authorization.static.
func (r *rbac) static(n, resource, rewrites *node, i int) (rule policy.Rule, ok bool) {
	user := n.field("user")
	if user == nil {
		user = n.field("User")
	}
	name, groups := user.field("name"), user.field("groups")
	conditions, who := r.subject(name.text(), groups)
	verb, at := n.field("verb").text(), n.field("path").text()
	isResource := n.field("resourceRequest").text() == "true"
	same := sameResource(n, resource)
	m := r.reach()
	why := ""
	switch {
	case n.unknown() || user.unknown():
		n.rest()
		user.rest()
		why = "has fields that are not known, so it lets in nothing"
	case isResource && at != "":
		why = "is a resource request with a path; kube-rbac-proxy does not start so"
	case isResource == (resource == nil), !same:
		n.note(Differs, "no request fits it, so it is not needed")
		return rule, false
	case rewrites != nil:
		why = "is about what the request itself names (rewrites), so it lets in nothing"
	case !who:
		why = "is for a user or a group that no rule here can name, so it lets in nothing"
	case !isResource && !r.onePath(&m, at):
		why = "has a path that cannot be said, or that --allow-paths leaves out, so it lets in nothing"
	case !verbs(&m, verb):
		n.note(Differs, "no request has the verb %q, so it is not needed", verb)
		return rule, false
	case len(r.list("allow-paths")) > 0 && len(m.Paths) == 0:
		why = "has no path of --allow-paths that can be said, so it lets in nothing"
	}
	if why != "" {
		n.note(LeftOut, "%s", why)
		return rule, false
	}
	return r.letIn(n, fmt.Sprintf("static-%d", i), conditions, m)
}

// reach is the paths that the proxy passes on.
func (r *rbac) reach() policy.Match {
	m := policy.Match{Paths: r.patterns("allow-paths")}
	if r.up.path != "" && len(r.list("allow-paths")) == 0 {
		m.Paths = below(r.up.path, false)
	}
	return m
}

// sameResource reports whether a static entry asks for the object that the proxy's requests are for.
func sameResource(n, resource *node) bool {
	for _, field := range []string{"namespace", "apiGroup", "resource", "subresource", "name"} {
		if want := n.field(field).text(); want != "" && want != resource.field(field).text() {
			return false
		}
	}
	return true
}

// letIn is an allow rule.
func (r *rbac) letIn(n *node, name string, conditions policy.Conditions, m policy.Match) (policy.Rule, bool) {
	rule := policy.Rule{Name: r.names.unique(name), Allow: &policy.Allow{Conditions: conditions}}
	if m = r.limit(m); !emptyMatch(m) {
		rule.Match = []policy.Match{m}
	}
	rule.Allow.Authenticated = !rule.Allow.AsksToken()
	return r.namedRule(rule, n)
}

// onePath has a match be for one path, if --allow-paths has it.
func (r *rbac) onePath(m *policy.Match, at string) bool {
	if !strings.HasPrefix(at, "/") || !plainPath(at) {
		return false
	}
	if allowed := r.list("allow-paths"); len(allowed) > 0 && !slices.ContainsFunc(allowed, func(p string) bool { ok, err := path.Match(p, at); return ok && err == nil }) {
		return false
	}
	m.Paths = []string{r.up.path + at}
	return true
}

// verbs are methods to Kubernetes.
func verbs(m *policy.Match, verb string) bool {
	methods := map[string]string{"get": "GET", "create": "POST", "update": "PUT", "patch": "PATCH", "delete": "DELETE"}
	switch {
	case verb == "":
	case verb == "*": // what none of the others is
		m.NotMethods = []string{"GET", "POST", "PUT", "PATCH", "DELETE"}
	case methods[verb] != "":
		m.Methods = []string{methods[verb]}
	default:
		return false
	}
	return true
}

// subject says who a user is. Groups are looked at too, though some releases of kube-rbac-proxy do not.
func (r *rbac) subject(name string, groups *node) (c policy.Conditions, ok bool) {
	var texts []string
	for _, g := range groups.items() {
		texts = append(texts, g.text())
	}
	if groups != nil && len(texts) == 0 {
		return c, false
	}
	if !r.oidc {
		return r.account(name, texts)
	}
	if name != "" {
		bare, has := strings.CutPrefix(name, r.user.prefix)
		if !has || bare == "" {
			return c, false
		}
		c.Claims, c.When = claimText(r.user.path, []string{bare})
	}
	if len(texts) == 0 {
		return c, true
	}
	claims, when, ok := r.groupsOf(texts)
	c.Claims = append(c.Claims, claims...)
	switch {
	case c.When != "" && when != "":
		c.When = "(" + c.When + ") && (" + when + ")"
	case when != "":
		c.When = when
	}
	return c, ok
}

// groupsOf is a condition on one of some groups.
func (r *rbac) groupsOf(texts []string) (claims []policy.ClaimCondition, when string, ok bool) {
	var bare []string
	for _, g := range texts {
		if b, has := strings.CutPrefix(g, r.groups.prefix); has && b != "" {
			bare = append(bare, b)
		}
	}
	if len(bare) == 0 {
		return nil, "", false
	}
	claims, when = claimText(r.groups.path, bare)
	return claims, when, true
}

// account is a service account, or the group of those of a namespace.
func (r *rbac) account(name string, groups []string) (c policy.Conditions, ok bool) {
	namespace := ""
	switch {
	case len(groups) > 1:
		return c, false
	case len(groups) == 1:
		ns, has := strings.CutPrefix(groups[0], "system:serviceaccounts:")
		if !has {
			return c, false
		}
		namespace = ns
	}
	account, has := strings.CutPrefix(name, "system:serviceaccount:")
	ns, account, named := strings.Cut(account, ":")
	switch {
	case name == "" && namespace == "":
	case name == "":
		c.ServiceAccounts = []string{namespace + "/*"}
	case !has || !named || namespace != "" && namespace != ns:
		return c, false
	default:
		c.ServiceAccounts = []string{ns + "/" + account}
	}
	return c, true
}

func emptyMatch(m policy.Match) bool {
	return len(m.Paths)+len(m.Methods)+len(m.NotMethods)+len(m.Ports)+len(m.RemoteIPs) == 0
}
