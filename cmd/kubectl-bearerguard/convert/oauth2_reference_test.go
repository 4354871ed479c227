package convert_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/convert"
)

// login is the settings of an oauth2-proxy; allows says what it makes of them, as its documentation and its readers of tokens have it, in the
// plainest way. It shares nothing with the converter.
type login struct {
	provider, issuer, client        string
	audiences, extra, domains       []string
	groups, roles                   []string
	routes, trusted, upstreams      []string
	emailClaim, groupsClaim, prefix string
	bearer, unverified, preflight   bool
}

func (l *login) command() string {
	var b strings.Builder
	b.WriteString("oauth2-proxy")
	add := func(flag string, values ...string) {
		for _, v := range values {
			fmt.Fprintf(&b, " \\\n  --%s='%s'", flag, v)
		}
	}
	add("provider", l.provider)
	add("oidc-issuer-url", l.issuer)
	add("client-id", l.client)
	add("oidc-extra-audience", l.audiences...)
	add("extra-jwt-issuers", l.extra...)
	add("email-domain", l.domains...)
	add("allowed-group", l.groups...)
	add("allowed-role", l.roles...)
	add("skip-auth-route", l.routes...)
	add("trusted-ip", l.trusted...)
	add("upstream", l.upstreams...)
	for flag, value := range map[string]string{"oidc-email-claim": l.emailClaim, "oidc-groups-claim": l.groupsClaim, "proxy-prefix": l.prefix} {
		if value != "" {
			add(flag, value)
		}
	}
	for flag, on := range map[string]bool{"skip-jwt-bearer-tokens": l.bearer, "insecure-oidc-allow-unverified-email": l.unverified, "skip-auth-preflight": l.preflight} {
		if on {
			b.WriteString(" --" + flag)
		}
	}
	return b.String() + "\n"
}

func (l *login) allows(a asked) bool {
	prefix := "/oauth2"
	if l.prefix != "" {
		prefix = l.prefix
	}
	if a.path == "/ping" || a.path == "/ready" || a.path == "/robots.txt" || a.path == prefix || strings.HasPrefix(a.path, prefix+"/") || !l.served(a.path) {
		return false
	}
	if l.preflight && a.method == "OPTIONS" || slices.ContainsFunc(l.routes, func(r string) bool { return skipped(r, a) }) ||
		slices.ContainsFunc(l.trusted, func(ip string) bool { return ip == a.ip.String() }) {
		return true
	}
	return l.bearer && a.claims != nil && (l.ofProvider(a.claims) || slices.ContainsFunc(l.extra, func(pair string) bool { return l.ofOther(pair, a.claims) }))
}

// served: the path of an upstream, or what is below one that ends with a slash.
func (l *login) served(path string) bool {
	return slices.ContainsFunc(l.upstreams, func(u string) bool {
		_, rest, _ := strings.Cut(u, "://")
		_, p, slash := strings.Cut(rest, "/")
		p = strings.ReplaceAll(p, "%20", " ")
		return strings.HasPrefix(u, "http") && (!slash || p == "" || path == "/"+p || strings.HasSuffix(p, "/") && strings.HasPrefix(path, "/"+p))
	})
}

func skipped(route string, a asked) bool {
	method, expression, negate := "", route, strings.Contains(route, "!=")
	if parts := regexp.MustCompile("!?=").Split(route, 2); len(parts) == 2 {
		method, expression = strings.ToUpper(parts[0]), parts[1]
	}
	path := strings.ReplaceAll(strings.ReplaceAll(a.path, "%0A", "\n"), "%20", " ")
	return (method == "" || method == a.method) && regexp.MustCompile(expression).MatchString(path) != negate
}

// ofProvider reads a token as the provider does: texts are made of whatever a claim is.
func (l *login) ofProvider(claims map[string]any) bool {
	if l.provider != "oidc" && l.provider != "keycloak-oidc" || claims["iss"] != l.issuer || !meantFor(append([]string{l.client}, l.audiences...), claims["aud"]) {
		return false
	}
	emailClaim, groupsClaim := "email", "groups"
	if l.emailClaim != "" {
		emailClaim = l.emailClaim
	}
	if l.groupsClaim != "" {
		groupsClaim = l.groupsClaim
	}
	email, groups := "", []string(nil)
	if v, there := claims[emailClaim]; there && v != nil {
		email = textOf(v)
	}
	if email == "" {
		email, _ = claims["sub"].(string)
	}
	if v, there := claims[groupsClaim]; there && v != nil {
		list, is := v.([]any)
		if !is {
			list = []any{v}
		}
		for _, one := range list {
			groups = append(groups, textOf(one))
		}
	}
	if v, there := claims["email_verified"]; there && v != nil && emailClaim == "email" && !l.unverified && textOf(v) != "true" && textOf(v) != "1" {
		return false
	}
	roles := false
	if l.provider == "keycloak-oidc" {
		access, _ := claims["realm_access"].(map[string]any)
		all, _ := access["roles"].([]any)
		roles = slices.ContainsFunc(all, func(r any) bool { s, _ := r.(string); return slices.Contains(l.roles, s) })
	}
	return l.welcome(email) && (len(l.groups)+len(l.roles) == 0 || roles || slices.ContainsFunc(groups, func(g string) bool { return slices.Contains(l.groups, g) }))
}

// ofOther reads a token of another issuer into a struct: what is of another type is an error.
func (l *login) ofOther(pair string, claims map[string]any) bool {
	url, audience, _ := strings.Cut(pair, "=")
	var c struct {
		Sub      string   `json:"sub"`
		Email    string   `json:"email"`
		Verified *bool    `json:"email_verified"`
		Name     string   `json:"preferred_username"`
		Groups   []string `json:"groups"`
		ACR      string   `json:"acr"`
	}
	text, err := json.Marshal(claims)
	if err != nil || claims["iss"] != url || !meantFor(append([]string{audience}, l.audiences...), claims["aud"]) || json.Unmarshal(text, &c) != nil || c.Verified != nil && !*c.Verified {
		return false
	}
	if c.Email == "" {
		c.Email = c.Sub
	}
	return l.welcome(c.Email) && (len(l.groups)+len(l.roles) == 0 || slices.ContainsFunc(c.Groups, func(g string) bool { return slices.Contains(l.groups, g) }))
}

func (l *login) welcome(email string) bool {
	email = strings.ToLower(email)
	at := email[strings.LastIndex(email, "@")+1:]
	return email != "" && slices.ContainsFunc(l.domains, func(d string) bool {
		return d == "*" || strings.HasSuffix(email, "@"+d) || strings.HasPrefix(d, ".") && strings.HasSuffix(at, d) || strings.HasPrefix(d, "*.") && strings.HasSuffix(at, d[1:])
	})
}

func textOf(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	}
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func (f family) login() *login {
	l := &login{
		provider: pick(f, "oidc", "oidc", "oidc", "keycloak-oidc", "google"), issuer: "https://one.example", client: "a", emailClaim: pick(f, "", "", "mail"),
		groupsClaim: pick(f, "", "", "c"), prefix: pick(f, "", "", "/a"), bearer: f.IntN(6) > 0, unverified: f.IntN(4) == 0, preflight: f.IntN(4) == 0,
		audiences: f.some("x"), groups: f.some("a", "b", "7", "a b"), trusted: f.some("10.1.2.3", "192.0.2.7"), upstreams: []string{"http://127.0.0.1:8080"},
		domains: pick(f, []string{"*"}, []string{"shop.example"}, []string{".example", "*.kiosk.test"}),
		routes:  f.some("^/a$", "^/a", "^/a/.*$", "/b$", "GET=^/a/", "POST!=^/c$", "GET!=^/a", "^/[ab]/", "^/a.*$", "=^/b", "x=1", "^/c|^/b$"),
	}
	if f.IntN(3) == 0 {
		l.extra = []string{pick(f, "https://two.example=b", "https://one.example=b", "https://two.example=a")}
	}
	if l.provider == "keycloak-oidc" {
		l.roles = f.some("a", "b")
	}
	if f.IntN(3) == 0 {
		l.upstreams = []string{pick(f, "http://127.0.0.1:8080/a/", "http://127.0.0.1:8080/b", "file:///var/www/#/b/", "http://127.0.0.1:8080/%20/")}
	}
	return l
}

// TestOAuth2NeverWider converts random settings of oauth2-proxy, and asks that what it refuses be refused; and that most of what it lets in is let
// in, so that the test does not hold by refusing all.
func TestOAuth2NeverWider(t *testing.T) {
	t.Parallel()
	neverWider(t, "oauth2-proxy", 17, 40, func(f family) (files []convert.File, allows func(asked) bool) {
		l := f.login()
		return []convert.File{{Name: "f.sh", Data: []byte(l.command())}}, l.allows
	}, func(f family, a *asked) {
		a.method = pick(f, "GET", "POST", "OPTIONS")
		if f.IntN(3) == 0 {
			a.path = pick(f, "/a%0Ab", "/a/%0A", "/oauth2/auth", "/oauth2", "/ping", "/robots.txt", "/x=1", "/%20/", "/%20/b")
		}
		if a.claims == nil {
			return
		}
		a.claims["email"] = pick[any](f, "ann@shop.example", "Ann@SHOP.example", "eve@\u017fhop.example", "eve@a.\u212aiosk.test", "eve@notshop.example", "x@a.shop.example", "", nil, json.Number("7"),
			[]any{"ann@shop.example"}, "a@b.kiosk.test", "a@b.kiosk.test\n", "ann@shop.example@evil.test")
		a.claims["groups"] = f.claim()
		if f.IntN(3) == 0 {
			a.claims["mail"] = pick[any](f, "ann@shop.example", "eve@evil.test", json.Number("7"))
		}
		if f.IntN(3) == 0 {
			a.claims["email_verified"] = pick[any](f, true, false, nil, "true", "false", json.Number("1"))
		}
		if f.IntN(4) == 0 {
			a.claims["preferred_username"] = f.claim()
		}
		if f.IntN(3) == 0 {
			a.claims["realm_access"] = pick[any](f, map[string]any{"roles": []any{"a"}}, map[string]any{"roles": "a"}, "a")
		}
	})
}

// neverWider converts random settings a thousand times, and asks forty requests each. So many percent of what is let in there are let in here, at
// least: what has odd claims is not.
func neverWider(t *testing.T, what string, seeds uint64, percent int, settings func(family) ([]convert.File, func(asked) bool), vary func(family, *asked)) {
	t.Helper()
	rounds := 1000
	if testing.Short() {
		rounds = 100
	}
	o := convert.Options{Selector: map[string]string{"app": "a"}, ClusterIssuer: "https://one.example", AllowAuthenticated: true}
	let, kept := 0, 0
	for seed := range rounds {
		f := family{rand.New(rand.NewPCG(uint64(seed), seeds))}
		files, allows := settings(f)
		result, err := convert.Run(files, o)
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, files)
		}
		program := programOf(t, result.Policies, o.Selector)
		for range 40 {
			a := f.request()
			vary(f, &a)
			want, got := allows(a), decide(program, a)
			if got.Allowed && !want {
				text, _ := json.MarshalIndent(result, "", " ")
				t.Fatalf("seed %d: %s refuses, rule %s allows: %+v\n%s\n%s", seed, what, got.Rule, a, files, text)
			}
			if want {
				let++
				if got.Allowed {
					kept++
				}
			}
		}
	}
	t.Logf("of %d requests that %s lets in, %d are let in", let, what, kept)
	if let < rounds || kept*100 < let*percent {
		t.Errorf("of %d requests that %s lets in, only %d are let in", let, what, kept)
	}
}
