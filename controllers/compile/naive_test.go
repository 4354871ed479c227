package compile

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
)

// naive compiles a namespace from nothing, pod by pod and policy by policy, as plainly as can be: what Memory is measured by.
type naive struct {
	Snapshot
	room     room
	policies []naivePolicy
	groups   map[string]*Bundle
	bytes    int
}

type naivePolicy struct {
	Policy
	outcome *naiveOutcome
	size    int
}

type naiveOutcome struct {
	policy   *Policy
	problem  error
	selected []Workload
}

func (n *naive) compile() (map[string]*Bundle, []naiveOutcome, error) {
	n.groups = map[string]*Bundle{}
	n.admit()
	bundles := map[string]*Bundle{}
	for _, w := range slices.SortedFunc(slices.Values(n.Workloads), byName) {
		b, err := n.bundleFor(w)
		if err != nil {
			return nil, nil, err
		}
		bundles[w.UID] = b
	}
	var out []naiveOutcome
	for _, p := range n.policies {
		out = append(out, *p.outcome)
	}
	slices.SortFunc(out, func(a, b naiveOutcome) int { return cmp.Compare(a.policy.Name, b.policy.Name) })
	return bundles, out, nil
}

func (n *naive) admit() {
	var b budget
	m := members{check: n.Check}
	for _, p := range slices.SortedFunc(slices.Values(n.Policies), byAge) {
		a := naivePolicy{Policy: *p, outcome: &naiveOutcome{policy: p}}
		cost := CostOf(n.Namespace, p.Spec)
		if a.outcome.problem = b.over(cost); a.outcome.problem == nil {
			b.take(cost)
			a.outcome.problem = m.problem(p)
		}
		if a.outcome.problem != nil {
			a.Policy = standIn(*p, n.Check)
		}
		if spec, err := json.Marshal(a.Spec); err == nil {
			a.size = len(spec)
		}
		n.policies = append(n.policies, a)
	}
}

func (n *naive) bundleFor(w Workload) (*Bundle, error) {
	mask := make([]byte, len(n.policies))
	var selected []naivePolicy
	for i, p := range n.policies {
		if !p.Selector.Decidable() || p.Selector.Matches(w.Labels) {
			mask[i] = 1
			selected = append(selected, p)
			p.outcome.selected = append(p.outcome.selected, w)
		}
	}
	if b := n.groups[string(mask)]; b != nil {
		return b, nil
	}
	b, err := n.fitting(selected)
	if err != nil {
		return nil, err
	}
	if len(b.Ref.Policies) > 0 || len(selected) == 0 {
		n.bytes += len(b.Encoded)
	}
	n.groups[string(mask)] = b
	return b, nil
}

func (n *naive) fitting(selected []naivePolicy) (*Bundle, error) {
	fits := func(size int) bool { return size <= n.room.one && n.bytes+size <= n.room.all }
	c := compiler{Memory: &Memory{keys: n.Keys}, namespace: n.Namespace}
	size := 0
	for _, p := range selected {
		size += p.size
	}
	if fits(size) {
		b, err := c.encode(n.together(selected))
		if err != nil || fits(len(b.Encoded)) {
			return b, err
		}
	}
	instead := make([]Policy, len(selected))
	for i, p := range selected {
		instead[i] = standIn(p.Policy, n.Check)
		p.outcome.note(fmt.Errorf("is too large together with others: what one pod is given may have %d bytes, and what "+
			"all pods of the namespace are given %d; use smaller policies, or fewer that select only some of the pods",
			n.room.one, n.room.all))
	}
	if b, err := c.encode(instead); err != nil || fits(len(b.Encoded)) {
		return b, err
	}
	deny := policy.Rule{Name: "policy-is-invalid", Deny: &policy.Conditions{}}
	b, err := c.encode([]Policy{{Name: "policies-too-large-together", Spec: policy.Spec{Mode: policy.Enforce, Rules: []policy.Rule{deny}}}})
	if err == nil {
		b.Ref.Policies = nil
	}
	return b, err
}

func (n *naive) together(selected []naivePolicy) []Policy {
	all := make([]Policy, len(selected))
	issuers := 0
	for i, p := range selected {
		if total := issuers + len(p.Spec.Issuers); total > decision.MaxIssuers {
			all[i] = standIn(p.Policy, n.Check)
			p.outcome.note(tooManyIssuers(total))
			continue
		}
		all[i], issuers = p.Policy, issuers+len(p.Spec.Issuers)
	}
	return all
}

func (o *naiveOutcome) note(problem error) {
	if o.problem == nil {
		o.problem = problem
	}
}

// shown is an outcome, made to be compared.
type shown struct {
	Policy   PolicyRef
	Problem  string
	Selected []string
}

func show(p *Policy, problem error, pods []Workload) shown {
	s := shown{Policy: p.ref()}
	if problem != nil {
		s.Problem = problem.Error()
	}
	for _, w := range pods {
		s.Selected = append(s.Selected, w.UID)
	}
	slices.Sort(s.Selected)
	return s
}

// keySet is one that differs by its number.
func keySet(n int) bundle.KeySet {
	return bundle.KeySet{JWKS: fmt.Appendf(nil, `{"keys":[{"n":%d}]}`, n)}
}
