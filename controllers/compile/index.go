package compile

import (
	"maps"
	"slices"

	"github.com/bearerguard/bearerguard/api/policy"
)

// index finds the members that may select a pod by one requirement of each: the one that the fewest others have.
type index struct {
	labels map[label][]*member  // those that want a label with a value
	keys   map[string][]*member // those that want a label with whatever value
	rest   []*member
}

type label struct{ key, value string }

func indexOf(members []*member) *index {
	x := &index{labels: map[label][]*member{}, keys: map[string][]*member{}}
	count := map[label]int{}
	for _, m := range members {
		for key, value := range m.policy.Selector.MatchLabels {
			count[label{key, value}]++
		}
	}
	for _, m := range members {
		x.add(m, count)
	}
	return x
}

func (x *index) add(m *member, count map[label]int) {
	s := m.policy.Selector
	if !m.decidable {
		x.rest = append(x.rest, m)
		return
	}
	if len(s.MatchLabels) > 0 {
		var best label
		for _, key := range slices.Sorted(maps.Keys(s.MatchLabels)) {
			if l := (label{key, s.MatchLabels[key]}); best.key == "" || count[l] < count[best] {
				best = l
			}
		}
		x.labels[best] = append(x.labels[best], m)
		return
	}
	for _, e := range s.MatchExpressions {
		switch e.Operator {
		case policy.In:
			for _, value := range slices.Compact(slices.Sorted(slices.Values(e.Values))) {
				x.labels[label{e.Key, value}] = append(x.labels[label{e.Key, value}], m)
			}
			return
		case policy.Exists:
			x.keys[e.Key] = append(x.keys[e.Key], m)
			return
		case policy.NotIn, policy.DoesNotExist: // say nothing of where to look
		}
	}
	x.rest = append(x.rest, m)
}

// selecting returns the members that select a pod with these labels.
func (x *index) selecting(labels map[string]string) (out []*member) {
	take := func(candidates []*member) {
		for _, m := range candidates {
			if m.selects(labels) {
				out = append(out, m)
			}
		}
	}
	take(x.rest)
	for key, value := range labels {
		take(x.labels[label{key, value}])
		take(x.keys[key])
	}
	return out
}
