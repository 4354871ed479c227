package compile

import (
	"cmp"
	"encoding/binary"
	"slices"
)

// maxPatches is how many members may come and go for groups to be patched. For more it is cheaper to look at each group anew.
const maxPatches = 64

// groups are the pods of a namespace by those labels that a selector mentions: all of a group are selected by the same policies.
type groups struct {
	mentioned map[string]int    // by label key, how many members have it in their selectors
	known     map[string]*group // by signature
	index     *index            // of the members; nil: not made yet
	signature []byte            // is used again
	keys      []string          // is used again
}

// group is pods that have the same labels, as far as selectors go.
type group struct {
	labels map[string]string // those mentioned
	set    *set
	pods   *Group // in the run
	run    uint64 // in which it was needed last
}

// update takes in that members went and came. A key that is mentioned for the first time, or no more, makes other groups.
func (g *groups) update(gone, came []*member, s *sets) {
	g.index = nil
	more := g.mention(came, 1)
	if fewer := g.mention(gone, -1); more || fewer || len(gone)+len(came) > maxPatches {
		g.known = nil
		return
	}
	for _, x := range g.known {
		x.patch(gone, came, s)
	}
}

// mention counts the keys of members' selectors, and reports whether one is new or gone.
func (g *groups) mention(members []*member, by int) (changed bool) {
	if g.mentioned == nil {
		g.mentioned = map[string]int{}
	}
	count := func(key string) {
		was := g.mentioned[key]
		if g.mentioned[key] = was + by; was == 0 || was+by == 0 {
			changed = true
		}
		if was+by == 0 {
			delete(g.mentioned, key)
		}
	}
	for _, x := range members {
		if !x.decidable { // selects all
			continue
		}
		for key := range x.policy.Selector.MatchLabels {
			count(key)
		}
		for _, e := range x.policy.Selector.MatchExpressions {
			count(e.Key)
		}
	}
	return changed
}

// patch replaces those members of a group's set that went by those that came.
func (x *group) patch(gone, came []*member, s *sets) {
	selects := func(m *member) bool { return m.selects(x.labels) }
	if !slices.ContainsFunc(gone, selects) && !slices.ContainsFunc(came, selects) {
		return
	}
	members := slices.DeleteFunc(slices.Clone(x.set.members), func(m *member) bool { return slices.Contains(gone, m) })
	for _, m := range came {
		if selects(m) {
			members = append(members, m)
		}
	}
	x.set = s.of(members)
}

// find returns the group of a pod, and whether it is a new one.
func (g *groups) find(labels map[string]string, m *members, s *sets) (*group, bool) {
	g.sign(labels)
	if x := g.known[string(g.signature)]; x != nil {
		return x, false
	}
	if g.index == nil {
		g.index = indexOf(m.byAge)
	}
	x := &group{labels: make(map[string]string, len(g.keys))}
	for _, key := range g.keys {
		x.labels[key] = labels[key]
	}
	x.set = s.of(g.index.selecting(x.labels))
	if g.known == nil {
		g.known = map[string]*group{}
	}
	g.known[string(g.signature)] = x
	return x, true
}

// sign leaves in keys which of the labels are mentioned, and in signature what is equal for pods that have the same of these.
func (g *groups) sign(labels map[string]string) {
	g.signature, g.keys = g.signature[:0], g.keys[:0]
	for key := range labels {
		if g.mentioned[key] > 0 {
			g.keys = append(g.keys, key)
		}
	}
	slices.Sort(g.keys)
	for _, key := range g.keys {
		for _, text := range []string{key, labels[key]} {
			g.signature = append(binary.AppendUvarint(g.signature, uint64(len(text))), text...)
		}
	}
}

func byPlace(a, b *member) int { return cmp.Compare(a.place, b.place) }
