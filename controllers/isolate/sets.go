package isolate

import (
	"slices"
	"strings"

	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/controllers/compile"
)

// set is the pods of a policy whose sidecars listen on the same ports.
type set struct {
	label string
	ports []int32
	pods  int
	// apart are the pods that NetworkPolicies of others isolate; pod is the first of them by name, and other what isolates that.
	apart      int
	pod, other string
}

// Serves returns the ports that the sidecar of a pod listens on, as injection noted them. Whoever may create a pod may write the label: it is
// not read of a pod without a sidecar.
func Serves(w compile.Workload) (ports []int32, ok bool) {
	if !w.Injected {
		return nil, false
	}
	return Ports(w.Labels[v1alpha1.LabelServes])
}

// setsOf returns the sets of a policy's pods, sorted; none if it does not ask.
func (p *planner) setsOf(o *compile.Outcome) []set {
	if !Asks(o.Policy) || !o.Policy.Selector.Decidable() {
		return nil
	}
	var out []set
	at := map[string]int{} // by label
	for w := range o.Pods() {
		ports, ok := Serves(w)
		if !ok {
			continue
		}
		label := w.Labels[v1alpha1.LabelServes]
		i, seen := at[label]
		if !seen {
			i, out = len(out), append(out, set{label: label, ports: ports})
			at[label] = i
		}
		out[i].add(w.Name, p.isolator(w))
	}
	slices.SortFunc(out, func(a, b set) int { return strings.Compare(a.label, b.label) })
	return out
}

// add counts a pod, which other isolates if that is not empty.
func (s *set) add(pod, other string) {
	s.pods++
	if other == "" {
		return
	}
	if s.apart == 0 || pod < s.pod {
		s.pod, s.other = pod, other
	}
	s.apart++
}

// isolator returns the first NetworkPolicy of others that isolates a pod; "" if none does. It is looked for once, however many policies
// select the pod.
func (p *planner) isolator(w compile.Workload) string {
	name, known := p.isolators[w.Name]
	if !known {
		if i := slices.IndexFunc(p.there.others, func(x other) bool { return x.selects(w.Labels) }); i >= 0 {
			name = p.there.others[i].name
		}
		p.isolators[w.Name] = name
	}
	return name
}
