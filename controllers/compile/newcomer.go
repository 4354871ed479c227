package compile

import "slices"

// Newcomer is a policy, new or changed, that asks for room among the others of its namespace.
type Newcomer struct {
	Namespace, Name string
	Cost            Cost
	// Was returns what it took before the change; nil: it is new. It may be called never, and takes time.
	Was func() *Cost
	// DryRun is whether it will not come anyway.
	DryRun bool
}

// Beside returns why there is no room for p beside others; nil if there is.
func (p *Newcomer) Beside(others []Cost) error {
	err := Over(others, nil, p.Cost)
	if err == nil || p.Was == nil {
		return err
	}
	return Over(others, p.Was(), p.Cost)
}

// Or returns what covers both costs: the greater number of rules, and the sources of either.
func (c Cost) Or(other Cost) Cost {
	out := Cost{Rules: max(c.Rules, other.Rules), Sources: slices.Clone(c.Sources)}
	for _, id := range other.Sources {
		if !slices.Contains(out.Sources, id) {
			out.Sources = append(out.Sources, id)
		}
	}
	return out
}
