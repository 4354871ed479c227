package decision

import (
	"slices"
	"strings"
)

// node is a node of the route index: a tree over path segments.
type node struct {
	literals map[string]*node
	any      *node     // one segment, not empty
	patterns *patterns // segments with a * in them
	exact    *leaf     // templates that end here
	tail     *leaf     // templates with a final ** here, and matches without paths at the root
	back     *node     // what comes after a ** here: a tree over segments from the last one
}

// patterns are the nodes below segments such as "v*" and "*.json". A segment is looked up once for each pair of lengths
// that there is, so that many patterns cost no more than one.
type patterns struct {
	lengths []lengths
	nodes   map[textPattern]*node
}

// lengths are those of the parts of a pattern.
type lengths struct{ prefix, suffix int }

// child returns the node below a pattern, made if need be.
func (p *patterns) child(pattern textPattern) *node {
	child := p.nodes[pattern]
	if child == nil {
		child = &node{}
		p.nodes[pattern] = child
		if l := (lengths{len(pattern.prefix), len(pattern.suffix)}); !slices.Contains(p.lengths, l) {
			p.lengths = append(p.lengths, l)
		}
	}
	return child
}

// find returns the node below the pattern with parts of these lengths that fits the segment, or nil.
func (p *patterns) find(l lengths, part string) *node {
	at := len(part) - l.suffix
	if at < l.prefix || !wholeEscapes(part, at) {
		return nil
	}
	return p.nodes[textPattern{prefix: part[:l.prefix], suffix: part[at:]}]
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
	switch {
	case !r.template.deep:
		leafOf(&n.exact).insert(r)
	case r.template.back == nil:
		leafOf(&n.tail).insert(r)
	default:
		n.insertBack(r)
	}
}

// insertBack adds a route with segments after its **.
func (n *node) insertBack(r route) {
	if n.back == nil {
		n.back = &node{}
	}
	n = n.back
	for i := len(r.template.back) - 1; i >= 0; i-- {
		n = n.child(r.template.back[i])
	}
	leafOf(&n.exact).insert(r)
}

// child returns the node for a segment below n, made if need be.
func (n *node) child(s segment) *node {
	if s.any {
		if n.any == nil {
			n.any = &node{}
		}
		return n.any
	}
	if s.pattern != nil {
		if n.patterns == nil {
			n.patterns = &patterns{nodes: make(map[textPattern]*node)}
		}
		return n.patterns.child(*s.pattern)
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
	if r.rule.dynamic() || !e.indexed() || max(1, len(hosts))*max(1, len(methods)) > maxKeys {
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
	if n.back != nil {
		n.back.walkBack(j, rest, more)
	}
	if !more {
		if n.exact != nil {
			n.exact.visit(j)
		}
		return
	}
	var part string
	part, rest, more = cutFirst(rest, more)
	if child := n.literals[part]; child != nil {
		child.walk(j, rest, more)
	}
	if n.any != nil && part != "" {
		n.any.walk(j, rest, more)
	}
	if n.patterns != nil && part != "" {
		for _, l := range n.patterns.lengths {
			if child := n.patterns.find(l, part); child != nil {
				child.walk(j, rest, more)
			}
		}
	}
}

// walkBack visits every leaf of a tree over segments from the last one. What is left of the path is for the **.
func (n *node) walkBack(j *judge, rest string, more bool) {
	if n.exact != nil {
		n.exact.visit(j)
	}
	if !more {
		return
	}
	var part string
	part, rest, more = cutLast(rest, more)
	if child := n.literals[part]; child != nil {
		child.walkBack(j, rest, more)
	}
	if n.any != nil && part != "" {
		n.any.walkBack(j, rest, more)
	}
	if n.patterns != nil && part != "" {
		for _, l := range n.patterns.lengths {
			if child := n.patterns.find(l, part); child != nil {
				child.walkBack(j, rest, more)
			}
		}
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
		r := &l.rest[i]
		if (j.record != nil || j.matching || j.settled(r.rule)) && r.entry.fitsRest(j.request) {
			j.matchRoute(r)
		}
	}
}

// visitAllHosts matches the deny rules of every host: a request without one may be for any.
func (l *leaf) visitAllHosts(j *judge) {
	for key, masks := range l.hosts {
		if key.method != "" && key.method != j.request.Method {
			continue
		}
		for _, m := range masks {
			if m.bits &= j.program.deny[m.word]; m.bits != 0 {
				j.matchOne(m)
			}
		}
	}
}

func (l *leaf) visitHosts(j *judge, host string) {
	if host == "" {
		l.visitAllHosts(j)
		return
	}
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
