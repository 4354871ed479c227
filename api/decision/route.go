package decision

import (
	"slices"
	"strings"
)

// entry is one compiled policy.Match: all fields that are given must fit.
type entry struct {
	paths   []*template // nil: every path
	hosts   []string    // a name, or ".example.com" for "*.example.com"; nil: every host
	methods []string    // nil: every method
	ports   []int       // nil: every port
	headers []headerMatch
	deny    bool // of a deny rule
}

// headerMatch is a compiled policy.HeaderMatch.
type headerMatch struct {
	name   string // canonical MIME form
	exists *bool
	values []string
}

// fitsRest reports whether everything but the path fits.
func (e *entry) fitsRest(r *Request) bool { return e.misfit(r) == "" }

// misfit returns the first field, paths aside, that does not fit, or "".
func (e *entry) misfit(r *Request) string {
	switch {
	case !e.fitsHost(r.Host):
		return "hosts"
	case e.methods != nil && !slices.Contains(e.methods, r.Method):
		return "methods"
	case e.ports != nil && !slices.Contains(e.ports, r.Port):
		return "ports"
	}
	for i := range e.headers {
		if !e.headers[i].fits(r, e.deny) {
			return "headers"
		}
	}
	return ""
}

func (e *entry) fitsHost(host string) bool {
	if e.hosts == nil {
		return true
	}
	for _, h := range e.hosts {
		if h == host || h[0] == '.' && len(host) > len(h) && strings.HasSuffix(host, h) {
			return true
		}
	}
	return false
}

// fits reports whether the header fits. One that comes several times fits an allow rule only if every value does, and
// a deny rule if any value does: what a client adds can open nothing.
func (h *headerMatch) fits(r *Request, deny bool) bool {
	got := r.header(h.name)
	if h.exists != nil {
		return *h.exists == (len(got) > 0)
	}
	for _, v := range got {
		if slices.Contains(h.values, v) == deny {
			return deny
		}
	}
	return !deny && len(got) > 0
}

// node is a node of the route index: a tree over path segments.
type node struct {
	literals map[string]*node
	any      *node // one segment, not empty
	exact    *leaf // templates that end here
	tail     *leaf // templates with ** here, and matches without paths at the root
}

// leaf holds the routes of one place in the tree. Routes that ask for nothing but path, method and host are masks,
// found by hash; the others are looked at one by one.
type leaf struct {
	open    []mask
	methods map[string][]mask
	hosts   map[hostKey][]mask // nil: no route here asks for a host
	rest    []route
}

// hostKey is a host ("example.com", or ".example.com" for all names below it) and a method ("": every method).
type hostKey struct{ host, method string }

// mask is 64 rules of the Program.
type mask struct {
	word int
	bits uint64
}

// route is one way for a request to match a rule.
type route struct {
	rule     *rule
	entry    *entry
	template *template // nil: every path
}

// maxKeys bounds the copies of a route that the index may make: hosts times methods.
const maxKeys = 32

// insert adds a route to the tree.
func (n *node) insert(r route) {
	if r.template == nil {
		leafOf(&n.tail).insert(r)
		return
	}
	for _, s := range r.template.segments {
		n = n.child(s)
	}
	if r.template.tail {
		leafOf(&n.tail).insert(r)
	} else {
		leafOf(&n.exact).insert(r)
	}
}

// child returns the node for a segment below n, made if need be.
func (n *node) child(s segment) *node {
	if s.any {
		if n.any == nil {
			n.any = &node{}
		}
		return n.any
	}
	child := n.literals[s.literal]
	if child == nil {
		if n.literals == nil {
			n.literals = make(map[string]*node)
		}
		child = &node{}
		n.literals[s.literal] = child
	}
	return child
}

func leafOf(l **leaf) *leaf {
	if *l == nil {
		*l = &leaf{}
	}
	return *l
}

func (l *leaf) insert(r route) {
	e := r.entry
	hosts, methods := e.hosts, e.methods
	if r.rule.dynamic() || e.ports != nil || e.headers != nil || max(1, len(hosts))*max(1, len(methods)) > maxKeys {
		l.rest = append(l.rest, r)
		return
	}
	switch {
	case hosts == nil && methods == nil:
		l.open = addMask(l.open, r.rule.number)
	case hosts == nil:
		if l.methods == nil {
			l.methods = make(map[string][]mask)
		}
		for _, m := range methods {
			l.methods[m] = addMask(l.methods[m], r.rule.number)
		}
	default:
		if l.hosts == nil {
			l.hosts = make(map[hostKey][]mask)
		}
		if methods == nil {
			methods = []string{""}
		}
		for _, h := range hosts {
			for _, m := range methods {
				k := hostKey{h, m}
				l.hosts[k] = addMask(l.hosts[k], r.rule.number)
			}
		}
	}
}

func addMask(masks []mask, rule int) []mask {
	word, bit := rule/64, uint64(1)<<(rule%64)
	for i := range masks {
		if masks[i].word == word {
			masks[i].bits |= bit
			return masks
		}
	}
	return append(masks, mask{word, bit})
}

// walk visits every leaf whose templates fit the rest of a path. more says that there is a rest, which may be the empty
// segment after a final slash. Each node has one parent, so none is visited twice.
func (n *node) walk(j *judge, rest string, more bool) {
	if n.tail != nil {
		n.tail.visit(j)
	}
	if !more {
		if n.exact != nil {
			n.exact.visit(j)
		}
		return
	}
	var head string
	head, rest, more = strings.Cut(rest, "/")
	if child := n.literals[head]; child != nil {
		child.walk(j, rest, more)
	}
	if n.any != nil && head != "" {
		n.any.walk(j, rest, more)
	}
}

func (l *leaf) visit(j *judge) {
	j.match(l.open)
	if l.methods != nil {
		j.match(l.methods[j.request.Method])
	}
	if l.hosts != nil {
		l.visitHosts(j, j.request.Host)
	}
	for i := range l.rest {
		if l.rest[i].entry.fitsRest(j.request) {
			j.matchRoute(&l.rest[i])
		}
	}
}

func (l *leaf) visitHosts(j *judge, host string) {
	if strings.HasPrefix(host, ".") {
		return // no canonical host
	}
	for h, wild := host, false; h != ""; wild = true {
		j.match(l.hosts[hostKey{h, ""}])
		if j.request.Method != "" {
			j.match(l.hosts[hostKey{h, j.request.Method}])
		}
		if wild {
			h = h[1:]
		}
		i := strings.IndexByte(h, '.')
		if i < 0 {
			return
		}
		h = h[i:]
	}
}
