package convert

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
)

const (
	whyPeer   = "is about the client's mTLS identity in the mesh; ask for a service-account token (serviceAccounts), or with TLS at the sidecar for request.tls.san in when"
	whyRemote = "is the address that X-Forwarded-For tells, which any client can write; filter where addresses are true, at the load balancer"
	whySNI    = "is the name of the TLS handshake, which a sidecar does not compare"
	whyDest   = "is the pod's own address; a sidecar guards one pod"
	whyFilter = "is about Envoy's own metadata"
)

// source reads from[].source.
func (r *reader) source(n *node) []part {
	out := []part{{}}
	peer := [][2]string{{"principals", "notPrincipals"}, {"namespaces", "notNamespaces"}, {"serviceAccounts", "notServiceAccounts"}, {"trustDomains", "notTrustDomains"}}
	for _, names := range peer {
		for _, e := range entries(n, names[0], names[1]) {
			out = r.product(n, out, r.unsaid(e, whyPeer))
		}
	}
	for _, e := range entries(n, "remoteIpBlocks", "notRemoteIpBlocks") {
		out = r.product(n, out, r.unsaid(e, whyRemote))
	}
	for _, e := range entries(n, "ipBlocks", "notIpBlocks") {
		out = r.product(n, out, r.blocks(e))
	}
	for _, e := range entries(n, "requestPrincipals", "notRequestPrincipals") {
		out = r.product(n, out, r.principals(e))
	}
	return out
}

// operation reads to[].operation.
func (r *reader) operation(n *node) []part {
	out := []part{{}}
	for _, e := range entries(n, "paths", "notPaths") {
		out = r.product(n, out, r.paths(e))
	}
	for _, e := range entries(n, "hosts", "notHosts") {
		out = r.product(n, out, r.hosts(e))
	}
	for _, e := range entries(n, "methods", "notMethods") {
		out = r.product(n, out, r.methods(e))
	}
	for _, e := range entries(n, "ports", "notPorts") {
		out = r.product(n, out, r.ports(e))
	}
	return out
}

// conditions reads when.
func (r *reader) conditions(n *node) []part {
	out := []part{{}}
	if n != nil && !n.is(yaml.SequenceNode) {
		return r.broken(n, "is no list")
	}
	for _, item := range n.items() {
		key := item.field("key").text()
		given := entries(item, "values", "notValues")
		if len(given) == 0 || item.unknown() {
			item.rest()
			out = r.product(item, out, r.broken(item, "has neither values nor notValues, or more than that"))
			continue
		}
		for _, e := range given {
			out = r.product(item, out, r.condition(key, e))
		}
	}
	return out
}

func (r *reader) condition(key string, e entry) []part {
	name, brackets := strings.CutPrefix(key, "request.headers[")
	switch {
	case brackets && strings.HasSuffix(name, "]"):
		return r.header(strings.TrimSuffix(name, "]"), e)
	case strings.HasPrefix(key, "request.auth.claims["):
		names, ok := claimNames(strings.TrimPrefix(key, "request.auth.claims"))
		if !ok {
			return r.broken(e.node, "is about a claim whose name cannot be read")
		}
		return r.claim(names, e)
	case strings.HasPrefix(key, "experimental.envoy.filters."):
		return r.unsaid(e, whyFilter)
	}
	switch key {
	case "source.ip":
		return r.blocks(e)
	case "remote.ip":
		return r.unsaid(e, whyRemote)
	case "source.principal", "source.namespace", "source.serviceAccount", "source.trustDomain":
		return r.unsaid(e, whyPeer)
	case "request.auth.principal":
		return r.principals(e)
	case "request.auth.audiences":
		return r.claim([]string{"aud"}, e)
	case "request.auth.presenter":
		return r.claim([]string{"azp"}, e)
	case "destination.port":
		return r.ports(e)
	case "destination.ip":
		return r.unsaid(e, whyDest)
	case "connection.sni":
		return r.unsaid(e, whySNI)
	}
	return r.unsaid(e, "has the key "+strconv.Quote(key)+", which is not known")
}

// claimNames reads "[a][b]".
func claimNames(s string) (names []string, ok bool) {
	for s != "" {
		end := strings.IndexByte(s, ']')
		if s[0] != '[' || end < 2 || strings.IndexByte(s[1:end], '[') >= 0 {
			return nil, false
		}
		names, s = append(names, s[1:end]), s[end+1:]
	}
	return names, len(names) > 0
}

func (r *reader) blocks(e entry) []part {
	return list(r, e, func(text string, _ bool) ([]string, error) {
		if _, err := block(text); err != nil {
			return nil, errors.New("is neither an address nor a CIDR block")
		}
		return []string{text}, nil
	}, func(p *part, all []string) {
		if all = union(nil, all); e.not {
			p.match.NotRemoteIPs = all
		} else {
			p.match.RemoteIPs = all
		}
	})
}

func (r *reader) ports(e entry) []part {
	return list(r, e, func(text string, _ bool) ([]int32, error) {
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil || n < 1 || n > 65535 {
			return nil, errors.New("is no port from 1 to 65535")
		}
		return []int32{int32(n)}, nil
	}, func(p *part, all []int32) {
		if all = union(nil, all); e.not {
			p.match.NotPorts = all
		} else {
			p.match.Ports = all
		}
	})
}

func (r *reader) paths(e entry) []part {
	return list(r, e, pathTemplates, func(p *part, all []string) {
		all = union(nil, all)
		switch {
		case e.not:
			p.match.NotPaths = all
		case !slices.Contains(all, "/**"):
			p.match.Paths = all
		}
	})
}

// methods are written as they are, or where one has a star as CEL.
func (r *reader) methods(e entry) []part {
	texts, _ := r.texts(e.node)
	values, whole, _ := parseValues(texts)
	return list(r, e, func(text string, _ bool) ([]string, error) {
		if v := parseValue(text); v.kind == exact && strings.Trim(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-") != "" {
			return nil, errNever
		}
		return []string{text}, nil
	}, func(p *part, all []string) {
		all = union(nil, all)
		switch {
		case !whole && e.not:
			p.when = []string{"!(" + anyOf(values, "request.method") + ")"}
		case !whole:
			p.when = []string{anyOf(values, "request.method")}
		case e.not:
			p.match.NotMethods = all
		default:
			p.match.Methods = all
		}
	})
}

// hosts are compared without port, as the rest of a Host header names no other app. Where one is no name and no end of names, they are
// written as CEL.
func (r *reader) hosts(e entry) []part {
	plain := true
	var values []value
	return list(r, e, func(text string, over bool) ([]string, error) {
		v, err := parseHost(text, over)
		if err != nil {
			return nil, err
		}
		plain = plain && (v.kind == exact || v.kind == suffix && strings.HasPrefix(v.text, ".") && len(v.text) > 1)
		values = append(values, v)
		return []string{v.pattern()}, nil
	}, func(p *part, all []string) {
		all = union(nil, all)
		fits := anyOf(values, "request.host")
		switch {
		case !plain && e.not:
			p.when = []string{"!(" + fits + ")"}
		case !plain && r.deny:
			p.when = []string{`request.host == "" || ` + fits}
		case !plain:
			p.when = []string{fits}
		case e.not:
			p.match.NotHosts = all
		default:
			p.match.Hosts = all
		}
	})
}

// parseHost reads a host, without its port. With over it may fit more than what is written.
func parseHost(text string, over bool) (value, error) {
	v := parseValue(strings.ToLower(text))
	if name, port, found := strings.Cut(v.text, ":"); found && v.kind != suffix {
		if port != "" && !over {
			return v, errors.New("has a port, and hosts are compared without")
		}
		v = value{exact, name}
	}
	if _, err := decision.CanonicalHost(strings.Trim(v.text, ".") + "x"); err != nil {
		return v, errors.New("is no host, or has a port")
	}
	return v, nil
}

// header is a condition on a header of the request.
func (r *reader) header(name string, e entry) []part {
	texts, ok := r.texts(e.node)
	lower := strings.ToLower(name)
	if !ok || name == "" || strings.Trim(lower, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || lower == "host" {
		return r.unsaid(e, "is about "+strconv.Quote(name)+", which is no header that rules can look at")
	}
	values, whole, starred := parseValues(texts)
	if starred && !whole {
		return r.unsaid(e, "has a star inside a value")
	}
	h := policy.HeaderMatch{Name: name}
	present := slices.ContainsFunc(values, func(v value) bool { return v.kind == anything })
	var patterns []string
	for _, v := range values {
		patterns = append(patterns, v.pattern())
	}
	yes, no := true, false
	switch {
	case present && e.not:
		h.Exists = &no
	case present:
		h.Exists = &yes
	case whole && e.not:
		h.NotValues = union(nil, texts)
	case whole:
		h.Values = union(nil, texts)
	case e.not:
		h.NotPatterns = union(nil, patterns)
	default:
		h.Patterns = union(nil, patterns)
	}
	return []part{{match: policy.Match{Headers: []policy.HeaderMatch{h}}}}
}

// claim is a condition on a claim.
func (r *reader) claim(path []string, e entry) []part {
	texts, ok := r.texts(e.node)
	if !ok {
		return r.broken(e.node, "is no list of texts, or has an empty one")
	}
	values, _, _ := parseValues(texts)
	all, some := r.group.spaces()
	spaces := len(path) == 1 && all[path[0]]
	if len(path) == 1 && some[path[0]] && !spaces {
		return r.unsaid(e, "is split at spaces in tokens of some issuers, and not in those of others")
	}
	cel := claimIs(path, values, spaces)
	c, same := claimCondition(claimPath(path), texts, e.not)
	same = same && !spaces
	switch {
	case e.not:
		return []part{{nots: []notClaim{{c, "!(" + cel + ")", same}}}}
	case same:
		return []part{{asks: true, claims: []policy.ClaimCondition{c}}}
	}
	return []part{{asks: true, when: []string{cel}}}
}

// principals are conditions on issuer and subject together.
func (r *reader) principals(e entry) (out []part) {
	texts, ok := r.texts(e.node)
	if !ok {
		return r.broken(e.node, "is no list of texts, or has an empty one")
	}
	var all []principal
	var none []string
	for i, text := range texts {
		p, err := parsePrincipal(text)
		if err != nil {
			e.node.items()[i].note(Differs, "%s, so it is not needed", err)
			continue
		}
		if !e.not && !r.deny && len(r.group.named(p.issuer)) == 0 {
			e.node.items()[i].note(LeftOut, "no RequestAuthentication that selects these pods has this issuer, so no token of it is taken")
			continue
		}
		all = append(all, p)
		none = append(none, fmt.Sprintf("!(%s)", p.cel()))
	}
	if e.not {
		if len(none) == 0 {
			return []part{{}}
		}
		return []part{{nots: []notClaim{{cel: strings.Join(none, " && ")}}}}
	}
	for _, same := range sameIssuers(all) {
		out = append(out, r.subjects(same))
	}
	return out
}

// subjects is a condition on who the token is of, for principals of the same issuers.
func (r *reader) subjects(same []principal) part {
	p := part{asks: true}
	var texts []string
	for _, one := range same {
		texts = append(texts, one.subject.pattern())
	}
	c, ok := claimCondition("sub", texts, false)
	numbers := !slices.ContainsFunc(same, func(one principal) bool { return one.subject.starred() })
	if ok || numbers { // sub is a text, or the token is refused
		p.claims = []policy.ClaimCondition{c}
	} else {
		var subjects []value
		for _, one := range same {
			subjects = append(subjects, one.subject)
		}
		p.when = []string{anyOf(subjects, "claims.sub")}
	}
	switch iss := same[0].issuer; {
	case !r.deny:
		p.limited, p.issuers = true, r.group.named(iss)
	case iss.kind != anything && iss.starred():
		p.when = append(p.when, iss.cel("issuer"))
	case iss.kind != anything:
		text := iss.pattern()
		c, _ := claimCondition("iss", []string{text}, false)
		p.claims = append(p.claims, c)
	}
	return p
}
