package decision

import (
	"fmt"
	"net/textproto"
	"slices"
	"strings"

	"github.com/bearerguard/bearerguard/api/policy"
)

// sharedCaptures returns the names that every path of every entry captures, sorted.
func sharedCaptures(entries []*entry) []string {
	var shared []string
	started := false
	for _, e := range entries {
		if e.paths == nil {
			return nil
		}
		for _, t := range e.paths {
			var names []string
			for _, s := range t.segments {
				if s.capture != "" && (!started || slices.Contains(shared, s.capture)) {
					names = append(names, s.capture)
				}
			}
			shared, started = names, true
		}
	}
	slices.Sort(shared)
	return shared
}

// entry compiles one entry of a match. It returns nil if nothing of it can be used.
func (c *compiler) entry(at string, m *policy.Match) *entry {
	if m.Hosts == nil && m.Paths == nil && m.Methods == nil && m.Ports == nil && m.Headers == nil {
		c.fail(at, "is empty", "at least one of hosts, paths, methods, ports, headers; leave match out to fit every request")
		return nil
	}
	e := &entry{methods: m.Methods}
	c.checkStrings(at+".hosts", m.Hosts, bounds{items: 32, min: 1, max: maxHost})
	for i, h := range m.Hosts {
		e.hosts = append(e.hosts, c.host(fmt.Sprintf("%s.hosts[%d]", at, i), h))
	}
	c.checkStrings(at+".paths", m.Paths, bounds{items: 64, min: 1, max: 1024})
	for i, p := range m.Paths {
		t, err := parseTemplate(p, c.slash)
		if err != nil {
			c.fail(fmt.Sprintf("%s.paths[%d]", at, i), err.problem, err.want)
			continue
		}
		e.paths = append(e.paths, t)
	}
	c.checkStrings(at+".methods", m.Methods, bounds{items: 32, min: 1, max: 32})
	for i, method := range m.Methods {
		if method != "" && !methodToken(method) {
			c.fail(fmt.Sprintf("%s.methods[%d]", at, i), fmt.Sprintf("%q is no method", method), "upper case, such as GET; methods have case")
		}
	}
	checkList(c, at+".ports", m.Ports, 32)
	checkUnique(c, at+".ports", m.Ports)
	for i, port := range m.Ports {
		if port < 1 || port > 65535 {
			c.fail(fmt.Sprintf("%s.ports[%d]", at, i), fmt.Sprintf("%d is no port", port), "1 to 65535")
		}
		e.ports = append(e.ports, int(port))
	}
	e.headers = c.headerMatches(at+".headers", m.Headers)
	return e
}

// host returns a host of a match as it is compared.
func (c *compiler) host(at, h string) string {
	name, wild := strings.CutPrefix(h, "*.")
	canonical, err := CanonicalHost(name)
	if err != nil || strings.HasSuffix(name, ".") || len(canonical) != len(name) && !strings.HasPrefix(name, "[") {
		if h != "" {
			c.fail(at, fmt.Sprintf("%q is no host", h), `a name such as "api.example.com" or "*.example.com", without port`)
		}
		return "invalid"
	}
	if wild {
		return "." + canonical
	}
	return canonical
}

func (c *compiler) headerMatches(at string, headers []policy.HeaderMatch) []headerMatch {
	checkList(c, at, headers, 16)
	seen := make(map[string]bool)
	var out []headerMatch
	for i := range headers {
		h := &headers[i]
		here := fmt.Sprintf("%s[%d]", at, i)
		c.checkHeaderName(here+".name", h.Name)
		name := textproto.CanonicalMIMEHeaderKey(h.Name)
		if seen[name] {
			c.fail(here+".name", fmt.Sprintf("%q comes twice", h.Name), "one entry a header")
		}
		seen[name] = true
		if name == "Host" {
			c.fail(here+".name", "the host is not matched as a header", "hosts")
		}
		if (h.Exists != nil) == (h.Values != nil) {
			c.fail(here, "has both or neither of exists and values", "exactly one of exists, values")
		}
		c.checkStrings(here+".values", h.Values, bounds{items: 32, min: 0, max: 1024})
		out = append(out, headerMatch{name: name, exists: h.Exists, values: h.Values})
	}
	return out
}

// claimCondition compiles a condition on a claim.
func (c *compiler) claimCondition(at string, spec *policy.ClaimCondition) claimCondition {
	var out claimCondition
	path, err := ParseClaimPath(spec.Claim)
	if err != nil {
		c.fail(at+".claim", err.Error(), `a claim path such as realm_access.roles or ["https://example.com/tenant"]`)
	}
	out.path = path
	given := 0
	take := func(present bool, op operator) bool {
		if present {
			given++
			out.op = op
		}
		return present
	}
	if take(spec.Exists != nil, opExists) {
		out.exists = *spec.Exists
	}
	if take(spec.Equals != nil, opEquals) {
		c.checkStrings(at+".equals", []string{*spec.Equals}, bounds{items: 1, min: 0, max: 1024})
		out.values = newValues([]string{*spec.Equals})
	}
	for _, l := range []struct {
		op    operator
		texts []string
		items int
	}{{opAnyOf, spec.AnyOf, 256}, {opAllOf, spec.AllOf, 64}, {opNoneOf, spec.NoneOf, 256}} {
		if take(l.texts != nil, l.op) {
			c.checkStrings(at+"."+l.op.String(), l.texts, bounds{items: l.items, min: 0, max: 1024})
			out.values = newValues(l.texts)
		}
	}
	if take(spec.Matches != "", opMatches) {
		out.pattern = c.pattern(at+".matches", spec.Matches)
	}
	if take(spec.GreaterThan != nil, opGreaterThan) {
		out.bound = boundOf(*spec.GreaterThan)
	}
	if take(spec.LessThan != nil, opLessThan) {
		out.bound = boundOf(*spec.LessThan)
	}
	if given != 1 {
		c.fail(at, fmt.Sprintf("has %d operators", given),
			"exactly one of exists, equals, anyOf, allOf, noneOf, matches, greaterThan, lessThan")
	}
	return out
}
