package decision

import (
	"net/netip"
	"slices"
	"strings"
)

// entry is one compiled policy.Match: all fields that are given must fit.
//
// Where a request leaves a doubt, an allow rule fits less and a deny rule more. So each field is compared in one of two
// ways, leniently (a doubt fits) or strictly: the positive fields leniently in a deny rule, the fields that exclude
// leniently in an allow rule.
type entry struct {
	paths     []*template // nil: every path
	hosts     []string    // a name, or ".example.com" for "*.example.com"; nil: every host
	methods   []string    // nil: every method
	ports     []int       // nil: every port
	remoteIPs []netip.Prefix
	headers   []headerMatch
	mcp       *mcpMatch // nil: whatever the body

	notPaths     []*template
	notHosts     []string
	notMethods   []string
	notPorts     []int
	notRemoteIPs []netip.Prefix

	deny bool // of a deny rule
}

// indexed reports whether the route index can tell all there is to an entry by host, path and method.
func (e *entry) indexed() bool {
	return e.ports == nil && e.remoteIPs == nil && e.headers == nil && e.mcp == nil && e.notPaths == nil && e.notHosts == nil &&
		e.notMethods == nil && e.notPorts == nil && e.notRemoteIPs == nil
}

// fitsRest reports whether everything but the path fits.
func (e *entry) fitsRest(r *Request) bool { return e.misfit(r) == "" }

// misfit returns the first field, paths aside, that does not fit, or "".
func (e *entry) misfit(r *Request) string {
	switch {
	case e.hosts != nil && !fitsHost(e.hosts, r.Host) && !(e.deny && r.Host == ""):
		return "hosts"
	case e.methods != nil && !slices.Contains(e.methods, r.Method):
		return "methods"
	case e.ports != nil && !slices.Contains(e.ports, r.Port):
		return "ports"
	case e.remoteIPs != nil && !fitsAddress(e.remoteIPs, r.Remote, e.deny):
		return "remoteIPs"
	}
	if field := e.excluded(r); field != "" {
		return field
	}
	return e.unfitting(r)
}

// unfitting returns the first field that does not fit what the request brings, or "".
func (e *entry) unfitting(r *Request) string {
	for i := range e.headers {
		if !e.headers[i].fits(r, e.deny) {
			return "headers"
		}
	}
	if e.mcp != nil && !e.mcp.fits(r.Call, e.deny) {
		return "mcp"
	}
	return ""
}

// excluded returns the first field that excludes the request, or "".
func (e *entry) excluded(r *Request) string {
	lenient := !e.deny
	switch {
	case e.notHosts != nil && (fitsHost(e.notHosts, r.Host) || lenient && r.Host == ""):
		return "notHosts"
	case e.notMethods != nil && fitsMethod(e.notMethods, r.Method, lenient):
		return "notMethods"
	case e.notPorts != nil && (slices.Contains(e.notPorts, r.Port) || lenient && r.Port == 0):
		return "notPorts"
	case e.notRemoteIPs != nil && fitsAddress(e.notRemoteIPs, r.Remote, lenient):
		return "notRemoteIPs"
	}
	if e.notPaths != nil && e.excludesPath(r) {
		return "notPaths"
	}
	return ""
}

// excludesPath reports whether notPaths fits the path; for an allow rule in any way to read it.
func (e *entry) excludesPath(r *Request) bool {
	if fitsAny(e.notPaths, r.Path) {
		return true
	}
	for _, reading := range r.Readings {
		if !e.deny && fitsAny(e.notPaths, reading.Path) {
			return true
		}
	}
	return false
}

// fitsAny reports whether one of the templates fits a path.
func fitsAny(templates []*template, path string) bool {
	for _, t := range templates {
		if t.fits(path) {
			return true
		}
	}
	return false
}

func fitsHost(hosts []string, host string) bool {
	for _, h := range hosts {
		if h == host || h[0] == '.' && len(host) > len(h) && strings.HasSuffix(host, h) {
			return true
		}
	}
	return false
}

// fitsMethod compares methods with case, or leniently without, since some apps do not mind it.
func fitsMethod(methods []string, method string, lenient bool) bool {
	if !lenient {
		return slices.Contains(methods, method)
	}
	for _, m := range methods {
		if strings.EqualFold(m, method) {
			return true
		}
	}
	return method == ""
}

// fitsAddress reports whether the address is in a block. One that is not known is leniently in all.
func fitsAddress(blocks []netip.Prefix, addr netip.Addr, lenient bool) bool {
	if !addr.IsValid() {
		return lenient
	}
	addr = addr.Unmap().WithZone("") // a block contains no address with a zone
	for _, b := range blocks {
		if b.Contains(addr) {
			return true
		}
	}
	return false
}

// headerMatch is a compiled policy.HeaderMatch.
type headerMatch struct {
	name    string // canonical MIME form
	exists  *bool
	fitting texts // empty: any
	not     texts
}

// fits reports whether the header fits.
func (h *headerMatch) fits(r *Request, deny bool) bool {
	got := r.header(h.name)
	return (h.exists == nil || *h.exists == (len(got) > 0)) &&
		(h.fitting.empty() || h.fitting.fit(got, deny)) &&
		(h.not.empty() || !h.not.fit(got, !deny))
}

// texts are values and patterns that a text is compared with; one of either is enough.
type texts struct {
	values   []string
	patterns []textPattern
}

func (t *texts) empty() bool { return t.values == nil && t.patterns == nil }

// has reports whether a text is one of the values or fits one of the patterns.
func (t *texts) has(text string) bool {
	if slices.Contains(t.values, text) {
		return true
	}
	for i := range t.patterns {
		if t.patterns[i].fits(text) {
			return true
		}
	}
	return false
}

// fit compares the values of a header, each of which may be a list (RFC 9110 section 5.3): an app may look at any of its
// elements, or at the whole. Strictly, there must be a value and every element must fit; leniently, one is enough. So
// what a client adds opens nothing.
func (t *texts) fit(got []string, lenient bool) bool {
	for _, v := range got {
		if t.fitValue(v, lenient) == lenient {
			return lenient
		}
	}
	return !lenient && len(got) > 0
}

func (t *texts) fitValue(v string, lenient bool) bool {
	if strings.IndexByte(v, ',') < 0 {
		return t.has(v)
	}
	if slices.Contains(t.values, v) {
		return true
	}
	if lenient && t.has(v) {
		return true
	}
	for element := range strings.SplitSeq(v, ",") {
		if t.has(strings.Trim(element, " \t")) == lenient {
			return lenient
		}
	}
	return !lenient
}

// textPattern is a text with one "*" in it, which stands for any text; or a text without.
type textPattern struct {
	prefix, suffix string
	whole          bool // no "*": the text is prefix
}

// fits reports whether a text is that of the pattern; or is not empty, and starts and ends as the pattern does.
func (p *textPattern) fits(text string) bool {
	if p.whole {
		return text == p.prefix
	}
	return text != "" && len(text) >= len(p.prefix)+len(p.suffix) &&
		strings.HasPrefix(text, p.prefix) && strings.HasSuffix(text, p.suffix)
}
