package decision

import (
	"fmt"
	"net/textproto"
	"slices"
	"strings"
	"time"

	"github.com/bearerguard/bearerguard/api/policy"
)

// Any stands for every method or header in a Grant.
const Any = "*"

// Grant is what pages of one origin may do. Of several policies that list it, each adds what it allows, and the shortest
// MaxAge holds.
type Grant struct {
	// Origin is the value of Access-Control-Allow-Origin: the origin itself, or "*".
	Origin string
	// Credentials: cookies and client certificates may go along.
	Credentials bool
	// Methods and Headers that a page may use, sorted; Any for whatever it asks for. Expose are those that it may read.
	Methods, Headers, Expose []string
	// MaxAge is how long a preflight holds; negative: no policy says.
	MaxAge time.Duration
}

// cors is a compiled policy.CORS.
type cors struct {
	origins []origin
	grant   Grant // its Origin is "*" or empty
}

// HasCORS reports whether an Enforce policy has spec.cors: then the sidecar and not the app says what pages of other
// origins may do.
func (p *Program) HasCORS() bool { return p != nil && len(p.cors) > 0 }

// CORS returns what pages of an origin may do; false if no policy lists it. The caller must not change the lists. The
// Grant holds the origin where it must be named.
func (p *Program) CORS(from string) (Grant, bool) {
	if !p.HasCORS() || from == "" {
		return Grant{}, false
	}
	var out Grant
	found, everybody := false, false
	for _, c := range p.cors {
		if !slices.ContainsFunc(c.origins, func(o origin) bool { return o.fits(from) }) {
			continue
		}
		everybody = everybody || c.grant.Origin == Any
		if !found {
			out, found = c.grant, true
			continue
		}
		out = out.with(c.grant)
	}
	if out.Origin = from; everybody && !out.Credentials {
		out.Origin = Any
	}
	return out, found
}

// with returns what two policies allow together.
func (g Grant) with(other Grant) Grant {
	union := func(a, b []string) []string { return sortedNames(slices.Concat(a, b)) }
	g.Methods, g.Headers, g.Expose = union(g.Methods, other.Methods), union(g.Headers, other.Headers), union(g.Expose, other.Expose)
	g.Credentials = g.Credentials || other.Credentials
	if other.MaxAge >= 0 && (g.MaxAge < 0 || other.MaxAge < g.MaxAge) {
		g.MaxAge = other.MaxAge
	}
	return g
}

// sortedNames sorts and drops what comes twice; Any stands for all.
func sortedNames(names []string) []string {
	if slices.Contains(names, Any) {
		return []string{Any}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// addCORS checks spec.cors and takes it in, unless the policy is in Audit mode.
func (c *compiler) addCORS(spec *policy.Spec) {
	const at = "spec.cors"
	in := spec.CORS
	if in == nil {
		return
	}
	out := &cors{grant: Grant{
		Credentials: in.Credentials, Methods: in.Methods, MaxAge: -1,
		Headers: canonicalNames(in.Headers), Expose: canonicalNames(append([]string{"WWW-Authenticate"}, in.ExposeHeaders...)),
	}}
	c.addOrigins(at, in, out)
	c.checkTokens(at+".methods", in.Methods, 32, func(s string) bool { return s == Any || methodToken(s) && s != "" }, "methods in upper case, or *")
	c.checkTokens(at+".headers", in.Headers, 64, func(s string) bool { return s == Any || corsHeader(s) }, "header names, or *")
	c.checkTokens(at+".exposeHeaders", in.ExposeHeaders, 64, corsHeader, "header names")
	if in.Methods == nil {
		out.grant.Methods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"}
	}
	if in.Headers == nil {
		out.grant.Headers = []string{"Authorization", "Content-Type"}
		for _, issuer := range spec.Issuers {
			for _, from := range issuer.Locations() {
				if from.Header != "" {
					out.grant.Headers = append(out.grant.Headers, textproto.CanonicalMIMEHeaderKey(from.Header))
				}
			}
		}
	}
	out.grant.Methods, out.grant.Headers = sortedNames(slices.Clone(out.grant.Methods)), sortedNames(out.grant.Headers)
	if d := in.MaxAge; d != nil {
		if d.Duration < 0 || d.Duration > 24*time.Hour || d.Duration%time.Second != 0 {
			c.fail(at+".maxAge", fmt.Sprintf("is %s", d.Duration), "whole seconds, 0s to 24h")
		}
		out.grant.MaxAge = d.Duration
	}
	if spec.Mode != policy.Audit {
		c.program.cors = append(c.program.cors, out)
	}
}

func (c *compiler) addOrigins(at string, in *policy.CORS, out *cors) {
	if in.Origins == nil {
		c.fail(at+".origins", "is missing", "the origins of pages, such as https://app.example.com")
	}
	c.checkStrings(at+".origins", in.Origins, bounds{items: 64, min: 1, max: 300})
	for i, text := range in.Origins {
		if text == "" {
			continue // said already
		}
		o, problem, want := parseOrigin(text)
		if problem != "" {
			c.fail(fmt.Sprintf("%s.origins[%d]", at, i), fmt.Sprintf("%q %s", clip(text), problem), want)
		}
		if o.any {
			out.grant.Origin = Any
			if in.Credentials {
				c.fail(at+".credentials", "is true, and origins has *: any page could act for who is logged in", "the origins listed, or credentials left out")
			}
		}
		out.origins = append(out.origins, o)
	}
}

func (c *compiler) checkTokens(at string, list []string, most int, ok func(string) bool, want string) {
	checkList(c, at, list, most)
	checkUnique(c, at, list)
	for i, s := range list {
		if !ok(s) {
			c.fail(fmt.Sprintf("%s[%d]", at, i), fmt.Sprintf("%q is none", clip(s)), want)
		}
	}
}

func corsHeader(s string) bool { return onlyBytes(s, "-_", 64) && s[0] != '-' && s[0] != '_' }

func canonicalNames(names []string) []string {
	out := make([]string, 0, len(names))
	for _, n := range names {
		if strings.EqualFold(n, "WWW-Authenticate") {
			n = "WWW-Authenticate"
		} else {
			n = textproto.CanonicalMIMEHeaderKey(n)
		}
		out = append(out, n)
	}
	return sortedNames(out)
}
