package compile

import (
	"slices"

	"github.com/bearerguard/bearerguard/api/bundle"
)

// Memory keeps what one namespace was compiled to until the next time, so that a change costs what it changes. What comes of it is
// to the byte what Compile makes of the same snapshot. The zero value remembers nothing. It is not safe for concurrent use; it
// changes no Result that it has returned.
type Memory struct {
	members members
	groups  groups
	sets    sets
	keys    map[string]bundle.KeySet
	room    room
	refusal *Bundle // where there is no room; nil: not made yet
	run     uint64  // numbers calls of Compile
	anew    bool    // something was made since the last Result
}

// Admit takes in the policies of a snapshot, which Compile does as well, and returns a number that changes when they do.
func (m *Memory) Admit(s Snapshot) (revision uint64) {
	gone, came := m.members.admit(s)
	if len(gone)+len(came) > 0 {
		m.anew = true
		m.groups.update(gone, came, &m.sets)
	}
	return m.members.revision
}

// Wanted returns admitted policies that together name every source of keys that is wanted: what there is no room for wants none.
func (m *Memory) Wanted() []*Policy {
	var out []*Policy
	seen := map[string]bool{}
	for _, x := range m.members.byAge {
		if x.over != nil || !slices.ContainsFunc(x.cost.Sources, func(id string) bool { return !seen[id] }) {
			continue
		}
		out = append(out, x.policy)
		for _, id := range x.cost.Sources {
			seen[id] = true
		}
	}
	return out
}

// rekey takes in the resolved keys. Bundles that name one that is not what it was are made anew.
func (m *Memory) rekey(now map[string]bundle.KeySet) {
	var changed []string
	for id, was := range m.keys {
		if is, ok := now[id]; !ok || !slices.Equal(is.JWKS, was.JWKS) {
			changed = append(changed, id)
		}
	}
	for id := range now {
		if _, ok := m.keys[id]; !ok {
			changed = append(changed, id)
		}
	}
	m.keys = now
	if len(changed) > 0 {
		m.sets.rekey(changed)
	}
}

// tidy forgets what the last call of Compile did not need.
func (m *Memory) tidy() {
	for signature, g := range m.groups.known {
		if g.run != m.run {
			delete(m.groups.known, signature)
		}
	}
	m.sets.tidy(m.run)
}
