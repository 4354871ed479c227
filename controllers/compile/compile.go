package compile

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
)

// Compile makes the bundles of a namespace. It fails only if a bundle cannot be encoded, which no input should cause.
func Compile(s Snapshot) (Result, error) {
	return new(Memory).Compile(s)
}

// Compile makes the bundles of a namespace, those alone that are not what they were. After an error nothing is remembered.
func (m *Memory) Compile(s Snapshot) (Result, error) {
	m.Admit(s)
	m.rekey(s.Keys)
	m.run++
	c := compiler{
		Memory: m, namespace: s.Namespace, room: m.room.withDefaults(),
		problems: make([]error, len(m.members.byAge)), selected: make([][]*Group, len(m.members.byAge)),
	}
	result := Result{Bundles: make(map[string]*Bundle, len(s.Workloads))}
	result.Workloads = slices.SortedFunc(slices.Values(s.Workloads), byName) // so that it is always the same that find no room
	for _, w := range result.Workloads {
		b, err := c.bundleFor(w)
		if err != nil {
			*m = Memory{room: m.room, members: members{revision: m.members.revision}}
			return Result{}, fmt.Errorf("encode bundle of namespace %s: %w", s.Namespace, err)
		}
		result.Bundles[w.UID] = b
	}
	result.Outcomes = c.outcomes()
	result.Anew, m.anew = m.anew, false
	m.tidy()
	return result, nil
}

// compiler is one run.
type compiler struct {
	*Memory
	namespace string
	room      room
	bytes     int        // of all bundles that are given, but for the refusal
	problems  []error    // of policies among others, by the place of their member
	selected  [][]*Group // by the place of a member
}

// bundleFor returns the bundle of a workload.
func (c *compiler) bundleFor(w Workload) (*Bundle, error) {
	g, isNew := c.groups.find(w.Labels, &c.members, &c.sets)
	c.anew = c.anew || isNew
	if g.run != c.run {
		g.run, g.pods = c.run, &Group{}
		for _, m := range g.set.members {
			c.selected[m.place] = append(c.selected[m.place], g.pods)
		}
	}
	g.pods.Workloads = append(g.pods.Workloads, w)
	if s := g.set; s.run != c.run {
		b, err := c.fitting(s)
		if err != nil {
			return nil, err
		}
		s.run, s.given = c.run, b
	}
	return g.set.given, nil
}

// note says that something is wrong with a policy among others, unless something else is already.
func (c *compiler) note(m *member, problem error) {
	if c.problems[m.place] == nil {
		c.problems[m.place] = problem
	}
}

func (c *compiler) outcomes() []Outcome {
	var out []Outcome
	for _, m := range c.members.byName {
		out = append(out, Outcome{
			Policy: m.policy, Problem: cmp.Or(m.problem(), c.problems[m.place]), Selected: c.selected[m.place],
		})
	}
	return out
}

// together returns the policies of a set, with stand-ins for those that have no place.
func (c *compiler) together(s *set) []Policy {
	all := make([]Policy, len(s.members))
	for i, m := range s.members {
		all[i] = m.used
		if slices.ContainsFunc(s.crowded, func(x crowded) bool { return x.member == m }) {
			all[i] = m.standIn(c.members.check)
		}
	}
	return all
}

// tooManyIssuers says that a policy makes it n issuers for a pod.
func tooManyIssuers(n int) error {
	return fmt.Errorf("does not compile together with older policies that select the same pods: spec.issuers: "+
		"they have %d issuers together; want at most %d", n, decision.MaxIssuers)
}

func (c *compiler) encode(policies []Policy) (*Bundle, error) {
	c.anew = true
	objects := make([]bundle.Object, len(policies))
	refs := make([]PolicyRef, len(policies))
	for i, p := range policies {
		objects[i] = bundle.Object{
			Namespace: c.namespace, Name: p.Name, Generation: p.Generation, Selector: p.Selector, Spec: p.Spec,
		}
		refs[i] = p.ref()
	}
	assembled := bundle.Assemble(objects, c.keys)
	named := map[string]bool{}
	for _, p := range assembled.Policies {
		for _, id := range p.Named() {
			named[id] = true
		}
	}
	delete(named, "") // what issuers without decryption, introspection or keys have
	encoded, err := bundle.Encode(assembled)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(refs, func(a, b PolicyRef) int { return cmp.Compare(a.Name, b.Name) })
	ref := &Ref{Version: bundle.Version(encoded), Policies: refs}
	return &Bundle{Ref: ref, Encoded: encoded, Accounts: accounts(objects), keySets: named}, nil
}

// accounts reports whether a policy trusts this cluster's service accounts.
func accounts(policies []bundle.Object) bool {
	return slices.ContainsFunc(policies, func(o bundle.Object) bool {
		return slices.ContainsFunc(o.Spec.Issuers, func(i policy.Issuer) bool { return i.Keys.Kubernetes != nil })
	})
}
