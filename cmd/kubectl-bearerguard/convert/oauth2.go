package convert

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"

	"github.com/bearerguard/bearerguard/api/policy"
)

// convertOAuth2 converts an oauth2-proxy.
func convertOAuth2(p *proxy) (spec policy.Spec, err error) {
	o := &oauth2{proxy: p}
	if p.text("alpha-config") != "" {
		return spec, p.at("alpha-config").refuse("names a file of another form, which is not read; what it limits is not known. Convert the flags that say the same")
	}
	spec.Rules = append(spec.Rules, o.own())
	if p.on("pass-access-token", false) {
		spec.Rules = append(spec.Rules, o.forged())
	}
	var reaches bool
	if o.below, reaches = o.paths(); !reaches {
		p.at("upstream").note(LeftOut, "leads to no path of an app that can be said, so nothing is let in")
		return spec, nil
	}
	o.open(&spec)
	if !p.on("skip-jwt-bearer-tokens", false) {
		p.at("skip-jwt-bearer-tokens").note(LeftOut, "--skip-jwt-bearer-tokens is not set, so oauth2-proxy takes no tokens: everybody logs in with a browser, which Bearerguard does not do. "+
			"No token is let in here. To verify what oauth2-proxy passes on (--pass-authorization-header), keep it in front, and convert with the flag set")
		return spec, nil
	}
	if why := o.asks(); why != "" {
		p.at(why).note(LeftOut, "no token is let in, since %s", "what --"+why+" asks besides is not known here")
		return spec, nil
	}
	o.issuers(&spec)
	if len(spec.Issuers) > 0 {
		spec.Rules = append(spec.Rules, o.members(spec.Issuers)...)
		o.headers(&spec)
	}
	return spec, nil
}

type oauth2 struct {
	*proxy

	below []string // the paths that reach the app; none: all of them
	main  string   // the name of the provider's issuer
}

// asks is a flag by which oauth2-proxy asks more than a token has.
func (o *oauth2) asks() string {
	for name, info := range o.flags {
		if given := o.all[name]; given != nil && info.why == whyUnasked && !(name == "azure-tenant" && o.text(name) == "common") {
			return name
		}
	}
	if o.all["authenticated-emails-file"] != nil && len(o.list("email-domain")) == 0 {
		return "authenticated-emails-file"
	}
	return ""
}

// paths are those that reach the app: below the paths of the upstreams; none: all do. It reports false if none does that can be said.
func (o *oauth2) paths() (out []string, reaches bool) {
	for _, u := range o.list("upstream") {
		_, after, _ := strings.Cut(u, "://")
		_, p, found := strings.Cut(after, "/")
		switch whole := strings.TrimSuffix(p, "/"); {
		case strings.HasPrefix(u, "static:") || strings.HasPrefix(u, "unix:"):
			return nil, true
		case strings.HasPrefix(u, "file:"):
			o.at("upstream").note(LeftOut, "%s is a directory that the proxy serves by itself", u)
		case !found || p == "":
			return nil, true
		case whole == "" || !plainPath("/"+whole):
			o.at("upstream").note(LeftOut, "%s has a path that cannot be said, so it is not let in", u)
		case strings.HasSuffix(u, "/"):
			out = append(out, "/"+whole+"/", "/"+whole+"/*/**")
		default:
			out = append(out, "/"+whole)
		}
	}
	return out, len(out) > 0 || len(o.list("upstream")) == 0
}

// own denies the paths at which oauth2-proxy itself answers, and the app is never asked.
func (o *oauth2) own() policy.Rule {
	prefix := "/" + strings.Trim(o.or("proxy-prefix", "/oauth2"), "/")
	paths := []string{"/robots.txt"}
	for _, p := range []string{prefix + "/**", o.or("ping-path", "/ping"), o.or("ready-path", "/ready")} {
		if strings.HasPrefix(p, "/") && plainPath(strings.TrimSuffix(p, "/**")) {
			paths = append(paths, p)
		}
	}
	o.settings.node.note(Differs, "answers at %s itself, and never asks the app: so does no rule here let them in. Take the deny rule away if the app has such paths", strings.Join(paths, ", "))
	return policy.Rule{Name: o.names.unique("oauth2-proxy-paths"), Match: []policy.Match{o.limit(policy.Match{Paths: union(nil, paths)})}, Deny: &policy.Conditions{}}
}

// forged denies a header that the app would believe, and that nothing here sets or removes.
func (o *oauth2) forged() policy.Rule {
	there := true
	return policy.Rule{Name: o.names.unique("forged-access-token"), Deny: &policy.Conditions{},
		Match: []policy.Match{o.limit(policy.Match{Headers: []policy.HeaderMatch{{Name: "X-Forwarded-Access-Token", Exists: &there}}})}}
}

// open adds the rules that let in without a token.
func (o *oauth2) open(spec *policy.Spec) {
	add := func(name string, m policy.Match, when string) {
		r := policy.Rule{Name: o.names.unique(name), Allow: &policy.Allow{Anonymous: true, Conditions: policy.Conditions{When: when}}}
		if m = o.limit(m); !emptyMatch(m) {
			r.Match = []policy.Match{m}
		}
		if r, ok := o.namedRule(r, o.settings.node); ok {
			spec.Rules = append(spec.Rules, r)
		}
	}
	for _, text := range o.list("skip-auth-regex") {
		o.skip(add, "skip-auth-regex", "", text, false)
	}
	for _, text := range o.list("skip-auth-route") {
		parts := regexp.MustCompile("!?=").Split(text, 2)
		if len(parts) == 1 {
			o.skip(add, "skip-auth-route", "", text, false)
			continue
		}
		o.skip(add, "skip-auth-route", strings.ToUpper(parts[0]), parts[1], strings.Contains(text, "!="))
	}
	if o.on("skip-auth-preflight", false) {
		add("preflight", policy.Match{Methods: []string{"OPTIONS"}, Paths: o.below}, "")
	}
	if ips := o.list("trusted-ip"); len(ips) > 0 {
		if o.on("reverse-proxy", false) {
			o.at("trusted-ip").note(LeftOut, "is compared with what a header says of the client (--reverse-proxy); no header is believed here")
			return
		}
		add("trusted-ip", policy.Match{RemoteIPs: union(nil, ips), Paths: o.below}, "")
	}
}

// skip converts one expression for paths that need no token.
func (o *oauth2) skip(add func(string, policy.Match, string), flag, method, text string, negate bool) {
	at := o.at(flag)
	if o.on("reverse-proxy", false) {
		at.note(Differs, "is compared with the path that is asked for; a header X-Forwarded-Uri is not believed")
	}
	m := policy.Match{}
	if method != "" {
		m.Methods = []string{method}
	}
	below := o.below
	templates, exact := templatesOf(text)
	switch {
	case negate && exact:
		m.NotPaths, m.Paths = templates, below
		add("skip-auth", m, "")
	case negate:
		at.note(LeftOut, "%s is an expression that no template says, and so what it does not fit is not let in", strconv.Quote(text))
	case exact && below == nil:
		m.Paths = templates
		add("skip-auth", m, "")
	default:
		if _, err := syntax.Parse(text, syntax.Perl); err != nil {
			at.note(LeftOut, "%s is no regular expression", strconv.Quote(text))
			return
		}
		m.Paths = below
		add("skip-auth", m, fmt.Sprintf(`!request.path.contains("%%") && request.path.matches(%s)`, strconv.Quote(text)))
	}
}

// templatesOf says a regular expression as templates, where both fit the same paths: "^/a$", "^/a/" and "^/a/.*$" with plain texts.
func templatesOf(text string) (out []string, exact bool) {
	rest, anchored := strings.CutPrefix(text, "^")
	if !anchored || !strings.HasPrefix(rest, "/") {
		return nil, false
	}
	rest, whole := strings.CutSuffix(rest, "$")
	prefix := !whole
	if r, open := strings.CutSuffix(rest, ".*"); open {
		rest, prefix = r, true
	}
	plain := strings.NewReplacer(`\.`, ".", `\-`, "-", `\/`, "/").Replace(rest)
	if strings.Contains(strings.NewReplacer(`\.`, "").Replace(rest), ".") || strings.ContainsAny(plain, `\^$*+?()[]{}|`) || !plainPath(plain) {
		return nil, false
	}
	switch {
	case !prefix:
		return []string{plain}, true
	case plain == "/":
		return []string{"/**"}, true
	case strings.HasSuffix(plain, "/"):
		return []string{plain, plain + "*/**"}, true
	}
	return []string{plain + "*/**"}, true
}

// issuers says whose tokens are taken.
func (o *oauth2) issuers(spec *policy.Spec) {
	audiences := append(slices.Clone(o.list("oidc-extra-audience")), o.client()...)
	if claims := o.list("oidc-audience-claim"); len(claims) > 0 && !slices.Equal(claims, []string{"aud"}) {
		o.at("oidc-audience-claim").note(LeftOut, "says where the audience is, and here it is in aud alone, so no token is taken; write an issuer with anyAudience, and a condition on that claim in each rule")
		return
	}
	add := func(at *node, x policy.Issuer) (name string) {
		x.Name = "issuer"
		if err := compiles(policy.Spec{Issuers: []policy.Issuer{x}}); err != nil {
			at.note(LeftOut, "its tokens are not trusted: %s", strings.ReplaceAll(err.Error(), "\n", "; "))
			return ""
		}
		_, host, _ := strings.Cut(x.Issuer, "://")
		x.Name = o.names.unique(host)
		spec.Issuers = append(spec.Issuers, x)
		o.group.issuers = append(o.group.issuers, issuer{spec: x})
		return x.Name
	}
	if main, ok := o.provider(); ok {
		main.Audiences = union(nil, audiences)
		o.main = add(o.at("oidc-issuer-url"), main)
	}
	for _, pair := range o.list("extra-jwt-issuers") {
		url, audience, found := strings.Cut(pair, "=")
		if !found {
			o.at("extra-jwt-issuers").note(LeftOut, "%q is no issuer=audience", pair)
			continue
		}
		add(o.at("extra-jwt-issuers"), policy.Issuer{Issuer: url, Audiences: union([]string{audience}, o.list("oidc-extra-audience")), Keys: policy.KeySource{Discovery: &policy.Discovery{}}})
	}
	if len(spec.Issuers) > 0 {
		o.settings.node.note(Differs, "takes the signature algorithms that the provider's metadata name; here every asymmetric one counts whose key the provider publishes. Name them in algorithms to narrow that")
	}
}

// client is the audience of the provider's tokens.
func (o *oauth2) client() []string {
	id := o.text("client-id")
	if o.hidden("client-id") || strings.Contains(id, "$") {
		id = ""
	}
	if given := o.objects.options.ClientID; given != "" {
		id = given
	}
	if id == "" {
		return nil
	}
	return []string{id}
}

// provider is the issuer of --provider. It reports false, with a note, if its tokens are not taken.
func (o *oauth2) provider() (x policy.Issuer, ok bool) {
	kind := o.or("provider", "google")
	url := o.text("oidc-issuer-url")
	at := o.at("oidc-issuer-url")
	ca := append(slices.Clone(o.list("provider-ca-file")), o.list("oidc-public-key-file")...)
	switch {
	case kind != "oidc" && kind != "keycloak-oidc":
		o.at("provider").note(LeftOut, "of the provider %q no token is taken: oauth2-proxy takes none of it, or asks it more than a token has; tokens of --extra-jwt-issuers come over", kind)
		return x, false
	case o.on("insecure-oidc-skip-issuer-verification", false):
		o.at("insecure-oidc-skip-issuer-verification").note(Stricter, "the issuer's name is compared with the token's iss")
	case o.client() == nil:
		o.at("client-id").note(LeftOut, "is not in the files, so no token of the provider is taken; say it with --client-id")
		return x, false
	}
	x = policy.Issuer{Issuer: url, Keys: policy.KeySource{Discovery: &policy.Discovery{}}}
	if o.on("skip-oidc-discovery", false) && o.text("oidc-jwks-url") != "" {
		x.Keys = policy.KeySource{JWKSURL: o.text("oidc-jwks-url")}
		x.Algorithms = []policy.Algorithm{"RS256"}
	}
	if algs := o.list("oidc-enabled-signing-alg"); len(algs) > 0 {
		x.Algorithms = nil
		for _, a := range algs {
			x.Algorithms = append(x.Algorithms, policy.Algorithm(a))
		}
	}
	if len(ca) > 0 && len(o.list("oidc-public-key-file")) == 0 {
		x.CASecretRef = &policy.KeyRef{Name: (names{}).unique(o.name + "-provider-ca"), Key: "ca.crt"}
		o.at("provider-ca-file").note(Differs, "put the certificates into the Secret %s/%s as ca.crt", o.namespace, x.CASecretRef.Name)
	} else if len(ca) > 0 {
		x.Keys = policy.KeySource{ConfigMapRef: &policy.KeyRef{Name: (names{}).unique(o.name + "-provider-keys"), Key: "keys.pem"}}
		o.at("oidc-public-key-file").note(Differs, "put the keys into the ConfigMap %s/%s as keys.pem", o.namespace, x.Keys.ConfigMapRef.Name)
	}
	if url == "" {
		at.note(LeftOut, "is missing, so no token of the provider is taken")
		return x, false
	}
	return x, true
}

// headers tell the app who the user is, under the names that oauth2-proxy has for it.
func (o *oauth2) headers(spec *policy.Spec) {
	user, email := "sub", o.or("oidc-email-claim", "email")
	groups := claimPath(strings.Split(o.or("oidc-groups-claim", "groups"), "."))
	f := &policy.Forward{}
	add := func(prefix string) {
		first := user
		if o.on("prefer-email-to-user", false) {
			first = email
		}
		f.Headers = append(f.Headers, policy.IdentityHeader{Name: prefix + "-User", Claim: claimPath(strings.Split(first, "."))},
			policy.IdentityHeader{Name: prefix + "-Email", Claim: claimPath(strings.Split(email, "."))},
			policy.IdentityHeader{Name: prefix + "-Groups", Claim: groups, Format: policy.FormatCSV},
			policy.IdentityHeader{Name: prefix + "-Preferred-Username", Claim: "preferred_username"})
	}
	if o.on("pass-user-headers", true) || o.on("pass-basic-auth", true) {
		add("X-Forwarded")
	}
	if o.on("set-xauthrequest", false) {
		o.at("set-xauthrequest").note(Differs, "the app gets these headers; there they are an answer to nginx, which passes them on")
		add("X-Auth-Request")
	}
	if o.on("pass-access-token", false) {
		o.at("pass-access-token").note(LeftOut, "the token stays in Authorization; requests that bring a header X-Forwarded-Access-Token are refused, since the app would believe it")
	}
	if len(f.Headers) > 0 {
		spec.Forward = f
	}
}
