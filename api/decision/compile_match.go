package decision

import (
	"fmt"
	"net/netip"
	"reflect"
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
			names := t.names()
			if started {
				names = slices.DeleteFunc(names, func(n string) bool { return !slices.Contains(shared, n) })
			}
			shared, started = names, true
		}
	}
	slices.Sort(shared)
	return shared
}

// entry compiles one entry of a match. It returns nil if nothing of it can be used.
func (c *compiler) entry(at string, m *policy.Match) *entry {
	e := &entry{
		hosts:        c.hosts(at+".hosts", m.Hosts),
		notHosts:     c.hosts(at+".notHosts", m.NotHosts),
		paths:        c.paths(at+".paths", m.Paths),
		notPaths:     c.paths(at+".notPaths", m.NotPaths),
		methods:      c.methods(at+".methods", m.Methods),
		notMethods:   c.methods(at+".notMethods", m.NotMethods),
		ports:        c.ports(at+".ports", m.Ports),
		notPorts:     c.ports(at+".notPorts", m.NotPorts),
		remoteIPs:    c.blocks(at+".remoteIPs", m.RemoteIPs),
		notRemoteIPs: c.blocks(at+".notRemoteIPs", m.NotRemoteIPs),
		headers:      c.headerMatches(at+".headers", m.Headers),
		mcp:          c.mcpMatch(at+".mcp", m.MCP),
	}
	if reflect.ValueOf(*m).IsZero() {
		c.fail(at, "is empty", "at least one of hosts, paths, methods, ports, remoteIPs, headers, mcp, or of the first five with not; "+
			"leave match out to fit every request")
		return nil
	}
	for i, t := range e.notPaths {
		if names := t.names(); len(names) > 0 {
			c.fail(fmt.Sprintf("%s.notPaths[%d]", at, i), fmt.Sprintf("captures {%s}", names[0]), "* in its place: there is nothing to capture")
		}
	}
	return e
}

func (c *compiler) hosts(at string, hosts []string) []string {
	c.checkStrings(at, hosts, bounds{items: 32, min: 1, max: maxHost})
	var out []string
	for i, h := range hosts {
		out = append(out, c.host(fmt.Sprintf("%s[%d]", at, i), h))
	}
	return out
}

func (c *compiler) paths(at string, paths []string) []*template {
	c.checkStrings(at, paths, bounds{items: 64, min: 1, max: 1024})
	var out []*template
	for i, p := range paths {
		t, err := parseTemplate(p, c.slash)
		if err != nil {
			c.fail(fmt.Sprintf("%s[%d]", at, i), err.problem, err.want)
			continue
		}
		out = append(out, t)
	}
	return out
}

func (c *compiler) methods(at string, methods []string) []string {
	c.checkStrings(at, methods, bounds{items: 32, min: 1, max: 32})
	for i, method := range methods {
		if method != "" && !methodToken(method) {
			c.fail(fmt.Sprintf("%s[%d]", at, i), fmt.Sprintf("%q is no method", method), "upper case, such as GET; methods have case")
		}
	}
	return methods
}

func (c *compiler) ports(at string, ports []int32) []int {
	checkList(c, at, ports, 32)
	checkUnique(c, at, ports)
	var out []int
	for i, port := range ports {
		if port < 1 || port > 65535 {
			c.fail(fmt.Sprintf("%s[%d]", at, i), fmt.Sprintf("%d is no port", port), "1 to 65535")
		}
		out = append(out, int(port))
	}
	return out
}

// blocks reads addresses and CIDR blocks.
func (c *compiler) blocks(at string, texts []string) []netip.Prefix {
	c.checkStrings(at, texts, bounds{items: 64, min: 1, max: 49})
	var out []netip.Prefix
	for i, text := range texts {
		block, problem := parseBlock(text)
		if problem != nil && text != "" {
			c.fail(fmt.Sprintf("%s[%d]", at, i), problem.problem, problem.want)
		}
		out = append(out, block)
	}
	return out
}

// parseBlock reads an address or a CIDR block, which must be written the shortest way: what is meant by "10.1.2.3/8" is
// not clear.
func parseBlock(text string) (netip.Prefix, *expressionError) {
	const want = `an address or a CIDR block, such as "10.1.2.3", "10.0.0.0/8" or "fd00::/8"`
	var block netip.Prefix
	if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
		block = netip.PrefixFrom(addr, addr.BitLen())
	} else if block, err = netip.ParsePrefix(text); err != nil {
		return block, &expressionError{fmt.Sprintf("%q is no address and no block", clip(text)), want}
	}
	switch {
	case block.Addr().Is4In6():
		return block, &expressionError{fmt.Sprintf("%q is an IPv4 address in IPv6", text), "the IPv4 address: " + block.Addr().Unmap().String()}
	case block != block.Masked():
		return block, &expressionError{fmt.Sprintf("%q has bits beyond its length", text), block.Masked().String() + " or " + block.Addr().String()}
	}
	return block, nil
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
