package decision

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/bearerguard/bearerguard/api/policy"
)

// maxURL bounds the URLs of spec.resource, in bytes: they are in every challenge.
const maxURL = 1024

// checkResource checks spec.resource and returns its URL; nil if that is none.
func (c *compiler) checkResource(spec *policy.Spec) *url.URL {
	const at = "spec.resource"
	r := spec.Resource
	u := c.checkResourceURL(at+".url", r.URL)
	c.checkString(at+".name", r.Name, bounds{max: 256})
	for _, page := range [...]struct{ field, url string }{
		{".documentation", r.Documentation}, {".policy", r.Policy}, {".termsOfService", r.TermsOfService},
	} {
		if page.url != "" {
			c.checkURL(at+page.field, page.url)
		}
		c.checkString(at+page.field, page.url, bounds{max: maxURL})
	}
	c.checkStrings(at+".scopes", r.Scopes, bounds{items: 64, min: 1, max: 256})
	for i, s := range r.Scopes {
		if s != "" && !scopeToken(s) {
			c.fail(fmt.Sprintf("%s.scopes[%d]", at, i), fmt.Sprintf("%q is no scope", s), `printable ASCII without spaces, " and \ (RFC 6749 section 3.3)`)
		}
	}
	c.checkServers(at+".authorizationServers", spec)
	c.checkBearerMethods(at+".bearerMethods", spec)
	return u
}

// checkResourceURL reads a resource identifier (RFC 9728 section 1.2). It is compared by letter (section 3.3), so there is one
// way to write it.
func (c *compiler) checkResourceURL(at, text string) *url.URL {
	const want = "an https URL as clients write it, such as https://mcp.example.com/mcp"
	if text == "" {
		c.fail(at, "is missing", want)
		return nil
	}
	c.checkString(at, text, bounds{max: maxURL})
	u, problem := parseResourceURL(text)
	if problem != "" {
		c.fail(at, problem, want)
		return nil
	}
	return u
}

// parseResourceURL reads a resource identifier, or says what is wrong with it.
func parseResourceURL(text string) (u *url.URL, problem string) {
	if problem = urlProblem(text); problem != "" {
		return nil, problem
	}
	u, _ = url.Parse(text)
	host, err := CanonicalHost(u.Host)
	switch {
	case strings.Contains(text, "?"):
		return nil, "has a query"
	case err != nil:
		return nil, "has a host that is none"
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return nil, "is http, and its host is not this one"
	case !strings.HasPrefix(text, u.Scheme+"://"+withPort(host, u.Port())+u.EscapedPath()):
		return nil, "is not in canonical form: scheme and host are in lower case"
	case needless(u.Scheme, u.Port()):
		return nil, "has the port that goes without saying"
	case u.EscapedPath() == "":
		return u, ""
	}
	if p, err := ReadPath(u.EscapedPath(), PathOptions{}); err != nil || p.Forward != u.EscapedPath() {
		return nil, "has a path that is not in canonical form"
	}
	return u, ""
}

// needless reports whether a port is the scheme's own.
func needless(scheme, port string) bool {
	return scheme == "https" && port == "443" || scheme == "http" && port == "80"
}

func withPort(host, port string) string {
	if port == "" {
		return host
	}
	return host + ":" + port
}

// loopback reports whether a host is the client's own, where http is as good as https.
func loopback(host string) bool {
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.IsLoopback()
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

func (c *compiler) checkServers(at string, spec *policy.Spec) {
	names := spec.Resource.AuthorizationServers
	c.checkStrings(at, names, bounds{items: 16, min: 1, max: 63})
	for i, name := range names {
		n := slices.IndexFunc(spec.Issuers, func(is policy.Issuer) bool { return is.Name == name })
		switch here := fmt.Sprintf("%s[%d]", at, i); {
		case name == "":
		case n < 0:
			c.fail(here, fmt.Sprintf("%q is no issuer of this policy", clip(name)), c.knownIssuers())
		case !isServer(&spec.Issuers[n]):
			c.fail(here, fmt.Sprintf("issuer %s is none that clients get tokens from", name), "one whose issuer is a URL, without keys.kubernetes")
		}
	}
}

func (c *compiler) checkBearerMethods(at string, spec *policy.Spec) {
	methods := spec.Resource.BearerMethods
	checkList(c, at, methods, 2)
	checkUnique(c, at, methods)
	able := taken(spec.Issuers)
	for i, m := range methods {
		switch here := fmt.Sprintf("%s[%d]", at, i); {
		case m != policy.BearerHeader && m != policy.BearerQuery:
			c.fail(here, fmt.Sprintf("%q is none", clip(string(m))), "Header or Query: no token is taken out of a body")
		case !slices.Contains(able, m):
			c.fail(here, fmt.Sprintf("is %s, but no issuer takes tokens there", m), `issuers[].from with header Authorization and prefix "Bearer ", or with query access_token`)
		}
	}
}
