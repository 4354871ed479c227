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

// Compile makes the bundles of a namespace. It fails only if a bundle cannot be encoded, which no input should cause.
func Compile(s Snapshot) (Result, error) {
	if s.Check == nil {
		s.Check = Check
	}
	c := compiler{Snapshot: s, groups: map[string]*Bundle{}}
	c.admit()
	result := Result{Bundles: make(map[string]*Bundle, len(s.Workloads))}
	result.Workloads = slices.SortedFunc(slices.Values(s.Workloads), byName) // so that it is always the same that find no room
	for _, w := range result.Workloads {
		b, err := c.bundleFor(w)
		if err != nil {
			return Result{}, err
		}
		result.Bundles[w.UID] = b
	}
	for _, p := range c.policies {
		result.Outcomes = append(result.Outcomes, *p.outcome)
	}
	slices.SortFunc(result.Outcomes, func(a, b Outcome) int { return cmp.Compare(a.Policy.Name, b.Policy.Name) })
	return result, nil
}

// compiler holds one run of Compile.
type compiler struct {
	Snapshot
	policies []admitted         // oldest first
	groups   map[string]*Bundle // by the set of selected policies, a byte for each policy
	bytes    int                // of all bundles in groups
}

// admitted is a policy, or its stand-in, that takes part.
type admitted struct {
	Policy
	outcome *Outcome
	size    int // of the encoded spec, in bytes
}

// admit checks each policy by itself, and whether the namespace has room for it beside older ones.
func (c *compiler) admit() {
	var b budget
	for _, p := range slices.SortedFunc(slices.Values(c.Policies), byAge) {
		a := admitted{Policy: p, outcome: &Outcome{Policy: p}}
		cost := CostOf(c.Namespace, p.Spec)
		if a.outcome.Problem = b.over(cost); a.outcome.Problem == nil {
			b.take(cost)
			a.outcome.Problem = c.problem(p)
		}
		if a.outcome.Problem != nil {
			a.Policy = c.standIn(p)
		}
		if spec, err := json.Marshal(a.Spec); err == nil { // if not, encoding it fails too, and says so
			a.size = len(spec)
		}
		c.policies = append(c.policies, a)
	}
}

func (c *compiler) problem(p Policy) error {
	if p.Unreadable != nil {
		return p.Unreadable
	}
	if err := p.Selector.Validate("spec.selector"); err != nil {
		return err
	}
	return c.Check([]Policy{p})
}

// bundleFor returns the bundle of a workload, made once for each set of policies.
func (c *compiler) bundleFor(w Workload) (*Bundle, error) {
	mask := make([]byte, len(c.policies))
	var selected []admitted
	for i, p := range c.policies {
		if p.selects(w) {
			mask[i] = 1
			selected = append(selected, p)
			p.outcome.Selected = append(p.outcome.Selected, w)
		}
	}
	if b := c.groups[string(mask)]; b != nil {
		return b, nil
	}
	b, err := c.fitting(selected)
	if err != nil {
		return nil, fmt.Errorf("encode bundle of namespace %s: %w", c.Namespace, err)
	}
	c.bytes += len(b.Encoded)
	c.groups[string(mask)] = b
	return b, nil
}

// selects is true for a policy whose selector could not be read: whom it guards cannot be known, so it guards everybody.
func (a admitted) selects(w Workload) bool {
	return !a.Selector.Decidable() || a.Selector.Matches(w.Labels)
}

// together returns the policies, with stand-ins for those that do not fit with the ones before them. Policies that compile
// each by itself compile together unless they have too many issuers, so issuers are counted and nothing is compiled: there
// may be thousands of policies, and as many sets of them as pods.
func (c *compiler) together(selected []admitted) []Policy {
	all := make([]Policy, len(selected))
	issuers := 0
	for i, p := range selected {
		if n := issuers + len(p.Spec.Issuers); n > decision.MaxIssuers {
			all[i] = c.standIn(p.Policy)
			p.outcome.crowded(n)
			continue
		}
		all[i], issuers = p.Policy, issuers+len(p.Spec.Issuers)
	}
	return all
}

// crowded says that a policy makes it n issuers for a pod, unless something else is wrong with it already.
func (o *Outcome) crowded(n int) {
	if o.Problem == nil {
		o.Problem = fmt.Errorf("does not compile together with older policies that select the same pods: spec.issuers: "+
			"they have %d issuers together; want at most %d", n, decision.MaxIssuers)
	}
}

func (c *compiler) encode(policies []Policy) (*Bundle, error) {
	objects := make([]bundle.Object, len(policies))
	refs := make([]PolicyRef, len(policies))
	for i, p := range policies {
		objects[i] = bundle.Object{
			Namespace: c.Namespace, Name: p.Name, Generation: p.Generation, Selector: p.Selector, Spec: p.Spec,
		}
		refs[i] = p.ref()
	}
	assembled := bundle.Assemble(objects, c.Keys)
	named := map[string]bool{}
	for _, p := range assembled.Policies {
		for i := range p.Keys {
			named[p.Keys[i]], named[p.Decryption[i]] = true, true
		}
	}
	delete(named, "") // what issuers without decryption have
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
