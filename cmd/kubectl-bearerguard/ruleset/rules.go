package ruleset

import (
	"slices"
	"strconv"
	"strings"

	"github.com/bearerguard/bearerguard/api/policy"
)

// Bounds of a rule (see policy.Match and policy.Rule).
const (
	mostPaths    = 64
	mostNotPaths = 64
	mostMatches  = 32
)

// Rule is a rule, and which operations it is for.
type Rule struct {
	policy.Rule
	// Operations are indexes.
	Operations []int
}

// Result is what came of operations. Their indexes tell them apart.
type Result struct {
	Rules []Rule
	// Crowded are operations that no rule is for, since too many other paths overlap with theirs.
	Crowded []int
	// Doubts are the other paths, as templates, of which it is not clear whether they count in place of an operation's own where both fit:
	// it is not let in there.
	Doubts map[int][]string
}

// Rules returns a rule for each kind of caller, for all operations that let it in, in the order of the first of these; several where one
// would be too large. No rule lets in what the operations do not. The operations of one method at one path, which may differ in the names
// of variables, add up.
func Rules(all []Operation, names Names) Result {
	r := Result{Doubts: map[int][]string{}}
	by := sized(places(all))
	var groups []*group
	known := map[string]*group{}
	for i := range all {
		o := &all[i]
		if o.Path.wider || len(o.Who) == 0 {
			continue
		}
		out, doubts := rivals(o, by[len(o.Path.segments)])
		if len(out) > mostNotPaths {
			r.Crowded = append(r.Crowded, i)
			continue
		}
		if len(doubts) > 0 {
			r.Doubts[i] = doubts
		}
		for _, w := range o.Who {
			g := known[w.key()]
			if g == nil {
				g = &group{who: w, known: map[string]*part{}}
				known[w.key()] = g
				groups = append(groups, g)
			}
			g.add(i, o, out)
		}
	}
	for _, g := range groups {
		r.Rules = append(r.Rules, g.rules(all, names)...)
	}
	return r
}

// group is operations that let in the same.
type group struct {
	who   Who
	parts []*part
	known map[string]*part
}

// part is what is in one match but for other paths: a path with its methods.
type part struct {
	path       string
	port       int32
	not        []string
	methods    []string
	operations []int
}

func (g *group) add(i int, o *Operation, not []string) {
	template := o.Path.Template(false)
	key := template + "\n" + strconv.Itoa(int(o.Port)) + "\n" + strings.Join(not, "\n")
	p := g.known[key]
	if p == nil {
		p = &part{path: o.Path.Template(true), port: o.Port, not: not}
		g.known[key] = p
		g.parts = append(g.parts, p)
	}
	if !slices.Contains(p.methods, o.Method) {
		p.methods = append(p.methods, o.Method)
	}
	p.operations = append(p.operations, i)
}

// matches returns parts that differ in their paths alone as one.
func (g *group) matches() (out []policy.Match, operations [][]int) {
	keys := map[string]int{}
	for _, p := range g.parts {
		slices.SortFunc(p.methods, func(a, b string) int { return order(a) - order(b) })
		key := strings.Join(p.methods, " ") + "\n" + strconv.Itoa(int(p.port)) + "\n" + strings.Join(p.not, "\n")
		at, ok := keys[key]
		if !ok || len(out[at].Paths) == mostPaths {
			at = len(out)
			keys[key] = at
			m := policy.Match{Methods: p.methods, NotPaths: p.not}
			if p.port != 0 {
				m.Ports = []int32{p.port}
			}
			out, operations = append(out, m), append(operations, nil)
		}
		out[at].Paths = append(out[at].Paths, p.path)
		operations[at] = append(operations[at], p.operations...)
	}
	return out, operations
}

// methods in the order in which people think of them.
var methods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"}

func order(method string) int {
	if i := slices.Index(methods, method); i >= 0 {
		return i
	}
	n := len(methods)
	for _, c := range []byte(method)[:min(3, len(method))] {
		n = n<<8 + int(c)
	}
	return n
}

func (g *group) rules(all []Operation, names Names) (out []Rule) {
	matches, operations := g.matches()
	for from := 0; from < len(matches); from += mostMatches {
		to := min(from+mostMatches, len(matches))
		var r Rule
		r.Match, r.Allow = matches[from:to], g.who.allow()
		for _, some := range operations[from:to] {
			r.Operations = append(r.Operations, some...)
		}
		slices.Sort(r.Operations)
		r.Name = names.Unique(g.names(all, r.Operations)...)
		out = append(out, r)
	}
	return out
}

// names returns what a rule may be called, the best first: after its only operation, what it asks for, or what its operations have in
// common.
func (g *group) names(all []Operation, operations []int) (out []string) {
	if len(operations) == 1 {
		o := &all[operations[0]]
		return []string{o.ID, o.Method + " " + o.Path.Template(true)}
	}
	if asks := slices.Concat(g.who.Roles, g.who.Scopes); len(asks) > 0 {
		out = append(out, strings.Join(asks, " "))
	}
	tags := all[operations[0]].Tags
	for _, i := range operations {
		tags = slices.DeleteFunc(slices.Clone(tags), func(t string) bool { return !slices.Contains(all[i].Tags, t) })
	}
	if len(tags) > 0 {
		out = append(out, tags[0])
	}
	if g.who.Anonymous {
		return append(out, "public")
	}
	return append(out, strings.Join(append(slices.Clone(g.who.Issuers), "any token"), " "))
}
