package suggest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/ruleset"
)

// Rule is a rule that is suggested.
type Rule struct {
	policy.Rule
	// Requests is how many of those that were seen it lets in.
	Requests int
}

// Result is what is suggested.
type Result struct {
	Rules []Rule
	// Covered is how many requests the rules let in, and Left those of a good token that they do not, by "METHOD /path", and why.
	Covered int
	Left    map[string]int
	// Wide are paths of which many texts became a variable, which is a guess.
	Wide []string
	// Loose are scopes that nearly all tokens had, and that rules do not ask for since a few had not.
	Loose []string
	// NoScopes says that the log does not tell scopes, and so the rules ask for none.
	NoScopes bool
}

// maker makes rules.
type maker struct {
	options Options
	spec    *policy.Spec
	seen    *Seen
	result  Result
	ports   bool
}

// Suggest makes the least rules for what was seen, for a policy with these issuers and rules. What they let in beyond that is other texts in
// segments that were found to be variable, for the same method, and tokens with more scopes.
func Suggest(seen *Seen, spec *policy.Spec, o Options) Result {
	m := &maker{options: o.withDefaults(), spec: spec, seen: seen}
	m.result.Left = map[string]int{}
	root := newTree()
	ports := map[int32]bool{}
	for _, c := range slices.SortedFunc(maps.Keys(seen.calls), compareCalls) {
		if !m.knows(&c) {
			seen.Unclear += seen.calls[c]
			continue
		}
		ports[c.port] = true
		m.result.NoScopes = m.result.NoScopes || !c.told
		root.insert(c)
	}
	m.ports = len(ports) > 1
	root.generalise(&m.options)
	m.widened(root, "")
	m.make(m.operations(root.places("", nil)))
	return m.result
}

func compareCalls(a, b call) int {
	return cmp.Or(cmp.Compare(a.path, b.path), cmp.Compare(a.method, b.method), cmp.Compare(a.port, b.port), cmp.Compare(a.issuer, b.issuer),
		cmp.Compare(a.scopes, b.scopes))
}

// knows reports whether the issuer of a request's token is known: the log names it, or there is only one.
func (m *maker) knows(c *call) bool {
	if c.issuer == "" {
		return len(m.spec.Issuers) == 1
	}
	return slices.ContainsFunc(m.spec.Issuers, func(is policy.Issuer) bool { return is.Name == c.issuer })
}

// widened notes the variables that stand for many words.
func (m *maker) widened(t *tree, path string) {
	for _, name := range slices.Sorted(maps.Keys(t.children)) {
		child := t.children[name]
		if !child.variable {
			m.widened(child, path+"/"+name)
			continue
		}
		if slices.ContainsFunc(child.example, func(s string) bool { return kindOf(s) == word }) {
			m.result.Wide = append(m.result.Wide, fmt.Sprintf("%s/{id}: %d texts, such as %s", path, child.values, strings.Join(child.example, ", ")))
		}
		m.widened(child, path+"/{id}")
	}
}

// operations are what the rules are made of, one for each method at a path.
func (m *maker) operations(places []place) (out []operation) {
	for _, p := range places {
		type key struct {
			method string
			port   int32
		}
		by := map[key][]call{}
		for _, c := range p.calls {
			k := key{c.method, 0}
			if m.ports {
				k.port = c.port
			}
			by[k] = append(by[k], c)
		}
		keys := slices.SortedFunc(maps.Keys(by), func(a, b key) int { return cmp.Or(cmp.Compare(a.method, b.method), cmp.Compare(a.port, b.port)) })
		for _, k := range keys {
			calls := by[k]
			n := 0
			for _, c := range calls {
				n += m.seen.calls[c]
			}
			path := ruleset.Text(p.path).Vary(p.names)
			if n < m.options.Least {
				m.result.Left[fmt.Sprintf("%s %s, since it was seen too seldom", k.method, path.Template(true))] += n
				continue
			}
			what := k.method + " " + path.Template(true)
			calls = m.frequent(what, calls)
			who := m.who(calls)
			m.loose(what, calls, who)
			out = append(out, operation{calls, ruleset.Operation{Method: k.method, Path: path, Port: k.port, Who: who}})
		}
	}
	return out
}

// operation is one, and the requests that it is for.
type operation struct {
	calls []call
	ruleset.Operation
}

// make makes rules, and holds them to what was seen: a path that overlapping ones leave out gets a rule of its own.
func (m *maker) make(operations []operation) {
	for round := 0; ; round++ {
		names := ruleset.Names{}
		for _, r := range m.spec.Rules {
			names[r.Name] = true
		}
		var all []ruleset.Operation
		for _, o := range operations {
			all = append(all, o.Operation)
		}
		made := ruleset.Rules(all, names)
		if room := 256 - len(m.spec.Rules); len(made.Rules) > room {
			made.Rules = made.Rules[:max(0, room)]
		}
		left := m.weigh(made.Rules, operations)
		if len(left) == 0 || round == 3 {
			for _, c := range left {
				m.result.Left[c.method+" "+c.path+", since too many rules would be needed"] += m.seen.calls[c]
			}
			return
		}
		for _, c := range left {
			port := int32(0)
			if m.ports {
				port = c.port
			}
			operations = append(operations, operation{[]call{c}, ruleset.Operation{Method: c.method, Path: ruleset.Text(c.path), Port: port, Who: m.who([]call{c})}})
		}
	}
}

// weigh counts what each rule lets in, by the engine that will decide, and returns what none does.
func (m *maker) weigh(rules []ruleset.Rule, operations []operation) (left []call) {
	m.result.Rules, m.result.Covered = nil, 0
	programs := make([]*decision.Program, 0, len(rules))
	for _, r := range rules {
		m.result.Rules = append(m.result.Rules, Rule{Rule: r.Rule})
		p, err := decision.Compile([]decision.Policy{{Spec: policy.Spec{Issuers: m.spec.Issuers, Rules: []policy.Rule{r.Rule}}}})
		if err != nil {
			p = nil // it lets in nothing
		}
		programs = append(programs, p)
	}
	of := map[int][]int{} // rules of an operation
	for i, r := range rules {
		for _, o := range r.Operations {
			of[o] = append(of[o], i)
		}
	}
	weighed := map[call]bool{}
	for i, o := range operations {
		for _, c := range o.calls {
			covered := weighed[c]
			for _, rule := range of[i] {
				if !weighed[c] && m.lets(programs[rule], &c) {
					covered = true
					m.result.Rules[rule].Requests += m.seen.calls[c]
				}
			}
			switch {
			case covered && !weighed[c]:
				m.result.Covered += m.seen.calls[c]
				weighed[c] = true
			case !covered:
				left = append(left, c)
			}
		}
	}
	return slices.DeleteFunc(left, func(c call) bool { return weighed[c] })
}

// lets reports whether a program lets in a request like c.
func (m *maker) lets(p *decision.Program, c *call) bool {
	if p == nil {
		return false
	}
	r := decision.Request{Method: c.method, Path: c.path, Port: int(c.port), Now: time.Unix(0, 0)}
	var by decision.IssuerSet
	for i, is := range p.Issuers() {
		if is.Spec.Name == c.issuer || c.issuer == "" {
			by = by.With(i)
		}
	}
	return p.Decide(&r, p.Bind(decision.Claims{"scope": c.scopes}, by)).Allowed
}
