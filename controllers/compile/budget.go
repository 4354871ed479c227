package compile

import (
	"fmt"
	"slices"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/policy"
)

// What the policies of one namespace may be, all together. Admission refuses what goes beyond, and the compiler, since admission
// may have been away, puts stand-ins in the place of the youngest.
const (
	// MaxPolicies is how many policies there may be.
	MaxPolicies = 5000
	// MaxRules is how many rules they may have.
	MaxRules = 20_000
	// MaxKeySources is how many sources of keys they may name, inline ones too. A source that several name counts once.
	MaxKeySources = 500
)

// Cost is what one policy takes of the budget of its namespace.
type Cost struct {
	Rules int
	// Sources are the ids, in api/bundle, of the sources of keys that it names, each once.
	Sources []string
}

// CostOf returns what a policy of a namespace takes.
func CostOf(namespace string, s policy.Spec) Cost {
	c := Cost{Rules: len(s.Rules)}
	for _, i := range s.Issuers {
		for _, id := range []string{bundle.SourceID(namespace, i), bundle.DecryptionID(namespace, i), bundle.NonceID(namespace, i), bundle.IntrospectionID(namespace, i)} {
			if id != "" && !slices.Contains(c.Sources, id) {
				c.Sources = append(c.Sources, id)
			}
		}
	}
	return c
}

// Over says, for admission, why the namespace has no room for a policy beside the others there; nil if it has. Was is what the
// policy took before; nil: it is new. What takes no more than before of anything has room wherever the namespace stands.
func Over(others []Cost, was *Cost, p Cost) error {
	if was != nil && p.within(*was) {
		return nil
	}
	var b budget
	for _, o := range others {
		b.take(o)
	}
	return b.over(p)
}

// within reports whether c takes nothing that was does not.
func (c Cost) within(was Cost) bool {
	return c.Rules <= was.Rules && !slices.ContainsFunc(c.Sources, func(id string) bool { return !slices.Contains(was.Sources, id) })
}

// budget counts what policies take. The zero value has counted none.
type budget struct {
	policies, rules int
	sources         map[string]bool
}

// over says why there is no room for one policy more; nil if there is.
func (b *budget) over(c Cost) error {
	sources := len(b.sources)
	for _, id := range c.Sources {
		if !b.sources[id] {
			sources++
		}
	}
	switch {
	case b.policies+1 > MaxPolicies:
		return fmt.Errorf("with this one the namespace has %d policies; want at most %d, and the oldest come first: delete some, or write "+
			"what guards the same pods as rules of one policy", b.policies+1, MaxPolicies)
	case b.rules+c.Rules > MaxRules:
		return fmt.Errorf("spec.rules: with these %d the policies of the namespace have %d rules; want at most %d, and the oldest policies "+
			"come first: delete some, or join rules that allow the same by listing their matches in one", c.Rules, b.rules+c.Rules, MaxRules)
	case sources > MaxKeySources:
		return fmt.Errorf("spec.issuers: with these the policies of the namespace name %d sources of keys; want at most %d, and the oldest "+
			"policies come first: have issuers that are the same name the same source", sources, MaxKeySources)
	}
	return nil
}

// take counts a policy.
func (b *budget) take(c Cost) {
	if b.sources == nil {
		b.sources = map[string]bool{}
	}
	b.policies++
	b.rules += c.Rules
	for _, id := range c.Sources {
		b.sources[id] = true
	}
}
