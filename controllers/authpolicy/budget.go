package authpolicy

import (
	"context"

	"github.com/bearerguard/bearerguard/controllers/compile"
)

// Room returns an error if the cache shows that the namespace has no room for a policy. What was let in and is not in the cache does
// not count: anybody who reaches the webhook can have a policy reviewed, of any namespace, that never comes. So a burst may pass;
// the compiler has the same bounds and holds it. Room lets in everything while the cache does not answer in time.
func (n *Neighbours) Room(ctx context.Context, p compile.Newcomer) error {
	here, ok := n.list(ctx, p.Namespace)
	if !ok {
		return nil
	}
	return p.Beside(costsBut(p.Name, here))
}

// costsBut returns what the policies of a namespace but one take.
func costsBut(name string, here []compile.Neighbour) []compile.Cost {
	out := make([]compile.Cost, 0, len(here))
	for i := range here {
		if here[i].Name != name {
			out = append(out, here[i].Cost)
		}
	}
	return out
}
