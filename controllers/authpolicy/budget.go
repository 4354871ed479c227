package authpolicy

import (
	"context"
	"time"

	"github.com/bearerguard/bearerguard/controllers/compile"
)

const (
	// expectedFor is how long a policy that was let in counts although the cache does not show it. Caches are rarely that late, and
	// what is not there by then was refused by somebody else.
	expectedFor = 5 * time.Second
	// expectedNamespaces is with how many namespaces those that have nothing to expect any more are forgotten.
	expectedNamespaces = 64
)

// expected is a policy that was let in a moment ago.
type expected struct {
	cost  compile.Cost
	until time.Time
}

// Room returns an error if the namespace has no room for a policy. What it lets in counts at once, so that many that come
// together do not pass one by one. It lets in everything while the cache does not answer in time: the compiler has the same bounds.
func (n *Neighbours) Room(ctx context.Context, p compile.Newcomer) error {
	here, ok := n.list(ctx, p.Namespace)
	if !ok {
		return nil
	}
	now := time.Now()
	n.mu.Lock()
	taken := costsBut(p.Name, here, n.awaited(p.Namespace, now))
	n.mu.Unlock()
	if err := p.Beside(taken); err != nil {
		return err
	}
	if !p.DryRun {
		n.expect(p, now)
	}
	return nil
}

// costsBut returns what the policies of a namespace but one take, or are about to take.
func costsBut(name string, here []compile.Neighbour, awaited map[string]expected) []compile.Cost {
	costs := make(map[string]compile.Cost, len(here)+len(awaited))
	for i := range here {
		costs[here[i].Name] = here[i].Cost
	}
	for name, e := range awaited {
		costs[name] = costs[name].Or(e.cost)
	}
	delete(costs, name)
	out := make([]compile.Cost, 0, len(costs))
	for _, c := range costs {
		out = append(out, c)
	}
	return out
}

// awaited returns what is expected of a namespace, and forgets what is not any more. n.mu is held, also while the map is used.
func (n *Neighbours) awaited(namespace string, now time.Time) map[string]expected {
	all := n.expected[namespace]
	for name, e := range all {
		if now.After(e.until) {
			delete(all, name)
		}
	}
	if len(all) == 0 {
		delete(n.expected, namespace)
	}
	return all
}

func (n *Neighbours) expect(p compile.Newcomer, now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.expected == nil {
		n.expected = map[string]map[string]expected{}
	}
	if n.expected[p.Namespace] == nil {
		if len(n.expected) >= expectedNamespaces {
			for namespace := range n.expected {
				n.awaited(namespace, now)
			}
		}
		n.expected[p.Namespace] = map[string]expected{}
	}
	n.expected[p.Namespace][p.Name] = expected{p.Cost, now.Add(expectedFor)}
}
