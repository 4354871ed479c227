package decision

import (
	"net/netip"
	"strconv"
	"strings"
)

// origin is one entry of spec.cors.origins: "*", a whole origin, or one with a "*." before its host.
type origin struct {
	any            bool
	whole          string // "https://app.example.com:8443"
	prefix, suffix string // of "https://*.example.com": "https://", ".example.com"
}

// fits compares with an Origin header (RFC 6454 section 6.2). Browsers write it in one way only, so this is by letter.
func (o *origin) fits(s string) bool {
	switch {
	case o.any:
		return true
	case o.whole != "":
		return s == o.whole
	}
	if len(s) <= len(o.prefix)+len(o.suffix) || !strings.HasPrefix(s, o.prefix) || !strings.HasSuffix(s, o.suffix) {
		return false
	}
	return subdomain(s[len(o.prefix) : len(s)-len(o.suffix)])
}

// parseOrigin reads an entry. The problem is what is wrong with it, and what is wanted.
func parseOrigin(text string) (o origin, problem, want string) {
	const shape = `scheme://host or scheme://host:port, such as https://app.example.com or https://*.example.com`
	switch text {
	case "*":
		return origin{any: true}, "", ""
	case "null":
		return o, "is what every sandboxed page and local file sends", "the origin of a page that has one"
	}
	scheme, authority, found := strings.Cut(text, "://")
	switch {
	case !found || !schemeName(scheme):
		return o, "has no scheme", shape
	case text != strings.ToLower(text):
		return o, "has upper-case letters, and browsers send none", strings.ToLower(text)
	case strings.ContainsAny(authority, "/?#"):
		return o, "has a path", shape + ", without a slash at the end"
	case strings.Contains(authority, "@"):
		return o, "has user information", shape
	}
	host, port, problem := splitPort(authority)
	if problem != "" {
		return o, problem, shape
	}
	return parseHost(scheme, host, port, shape)
}

// parseHost reads the host of an origin; port has its colon.
func parseHost(scheme, host, port, shape string) (o origin, problem, want string) {
	switch {
	case scheme == "https" && port == ":443", scheme == "http" && port == ":80":
		return o, "names the scheme's own port, and browsers leave it out", scheme + "://" + host
	}
	if below, wild := strings.CutPrefix(host, "*"); wild {
		if below = strings.TrimPrefix(below, "."); len(below) != len(host)-2 || !subdomain(below) || !strings.Contains(below, ".") {
			return o, "has a * for more than names below a domain", "https://*.example.com, or * for every origin"
		}
		return origin{prefix: scheme + "://", suffix: "." + below + port}, "", ""
	}
	if !originHost(host) {
		return o, "has no host that a browser sends", shape + "; international names in their xn-- form"
	}
	return origin{whole: scheme + "://" + host + port}, "", ""
}

// splitPort cuts the port off; port has its colon.
func splitPort(authority string) (host, port, problem string) {
	colon := strings.LastIndexByte(authority, ':')
	if colon < 0 || colon < strings.LastIndexByte(authority, ']') {
		return authority, "", ""
	}
	host, port = authority[:colon], authority[colon:]
	n, err := strconv.ParseUint(port[1:], 10, 16)
	if err != nil || n == 0 || strconv.FormatUint(n, 10) != port[1:] {
		return "", "", "has no port after the colon"
	}
	return host, port, ""
}

// schemeName holds for a scheme (RFC 3986 section 3.1) in either case.
func schemeName(s string) bool {
	return onlyBytes(s, "+-.", 32) && (s[0] >= 'a' && s[0] <= 'z' || s[0] >= 'A' && s[0] <= 'Z')
}

// originHost holds for DNS names, addresses, and [IPv6] as browsers write it.
func originHost(host string) bool {
	if inner, v6 := strings.CutPrefix(host, "["); v6 {
		inner, closed := strings.CutSuffix(inner, "]")
		a, err := netip.ParseAddr(inner)
		return closed && err == nil && a.Is6() && a.String() == inner
	}
	return subdomain(strings.ReplaceAll(host, "_", "-"))
}
