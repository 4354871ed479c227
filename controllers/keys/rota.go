package keys

import (
	"maps"
	"slices"
)

// rota shares the reads among namespaces, each one in turn, so that one that names thousands of objects is late to learn of
// its own changes and not of those of others.
type rota struct {
	at   map[string]int // by namespace: how many of its objects have had their turn
	last string         // the namespace that had the last turn
}

// next returns the objects to read in a round, at most so many, and each once. They are given sorted by namespace.
func (r *rota) next(objects []object, most int) []object {
	of := map[string][]object{}
	for _, o := range objects {
		of[o.namespace] = append(of[o.namespace], o)
	}
	if r.at == nil {
		r.at = map[string]int{}
	}
	maps.DeleteFunc(r.at, func(namespace string, _ int) bool { return of[namespace] == nil })
	var out []object
	left := maps.Clone(of)
	for len(out) < most && len(left) > 0 {
		for _, namespace := range r.order(left) {
			if len(out) == most {
				break
			}
			all := of[namespace]
			out = append(out, all[r.at[namespace]%len(all)])
			r.at[namespace] = (r.at[namespace] + 1) % len(all)
			r.last = namespace
			if left[namespace] = left[namespace][1:]; len(left[namespace]) == 0 {
				delete(left, namespace)
			}
		}
	}
	return out
}

// order returns the namespaces that have objects left, beginning after the one that had the last turn.
func (r *rota) order(left map[string][]object) []string {
	names := slices.Sorted(maps.Keys(left))
	i, found := slices.BinarySearch(names, r.last)
	if found {
		i++
	}
	return slices.Concat(names[i:], names[:i])
}
