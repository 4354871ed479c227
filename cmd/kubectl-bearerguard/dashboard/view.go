package dashboard

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/cluster"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/fleet"
)

// mostPods is how many pods of a workload are listed, the worst first.
const mostPods = 100

// View makes of facts what is shown.
func View(f *facts, about About, now time.Time) State {
	report := fleet.New(f.policies, f.pods)
	if !f.policiesKnown {
		report.Workloads = nil // nobody knows what selects their pods: to say that nothing does would be wrong
	}
	s := State{
		About: about, Loading: f.at.IsZero(), At: f.at, PoliciesKnown: f.policiesKnown, PodsKnown: f.podsKnown,
		Troubles: []*Trouble{}, Findings: []Finding{}, Policies: []Policy{}, Workloads: []Workload{},
	}
	for _, t := range []*Trouble{f.policiesTrouble, f.podsTrouble} {
		if t != nil {
			s.Troubles = append(s.Troubles, t)
		}
	}
	v := viewer{facts: f, now: now, workloads: map[string]*Workload{}, open: bypassed(f.policies)}
	for i := range report.Workloads {
		w := &Workload{Workload: report.Workloads[i], Level: Good, List: []Pod{}}
		v.workloads[w.Namespace+" "+w.Name] = w
	}
	v.pods(&s)
	var groups []Group
	s.Refusals, groups = newRefusals(v.heard, now)
	s.Refusals.Sidecars, s.Refusals.Asked, s.Refusals.Failed, s.Refusals.Oldest = v.running, v.asked, len(v.failures), v.oldest
	v.refused(groups)
	for i := range report.Policies {
		s.Policies = append(s.Policies, v.policy(report.Policies[i], groups))
	}
	for _, w := range v.workloads {
		w.sort()
		s.Workloads = append(s.Workloads, *w)
	}
	v.troubles(&s)
	s.Findings = append(s.Findings, findings(&s)...)
	levels(&s)
	for i := range s.Workloads {
		s.Workloads[i].cut()
	}
	return s
}

// viewer goes through the pods.
type viewer struct {
	facts     *facts
	now       time.Time
	workloads map[string]*Workload
	open      map[string]bool
	heard     []heard
	failures  []error
	running   int
	asked     int
	oldest    time.Time
}

// pods sorts the pods into the workloads, and what their sidecars said.
func (v *viewer) pods(s *State) {
	for i := range v.facts.pods {
		p := &v.facts.pods[i]
		w := v.workloads[p.Namespace+" "+fleet.Owner(p)]
		if w == nil || !fleet.Lives(p) {
			continue
		}
		pod := v.pod(p)
		s.Pods.count(pod.State)
		w.States.count(pod.State)
		if pod.Running {
			v.running++
			v.hear(p, w, &pod)
		}
		w.List = append(w.List, pod)
	}
}

func (v *viewer) pod(p *corev1.Pod) Pod {
	running, ready := cluster.SidecarOf(p)
	var by selectedBy
	for i := range v.facts.policies {
		if a := &v.facts.policies[i]; a.Namespace == p.Namespace && a.Spec.Selector.Matches(p.Labels) {
			by.any = true
			by.enforce = by.enforce || a.Spec.Mode != policy.Audit
		}
	}
	release, _, _ := strings.Cut(p.Annotations[v1alpha1.AnnotationInjected], "@")
	return Pod{Name: p.Name, State: stateOf(by, cluster.HasSidecar(p), ready, v.open[p.Namespace+"/"+p.Name]), Running: running, Release: release}
}

// selectedBy says what policies select a pod: any, and one that enforces.
type selectedBy struct{ any, enforce bool }

func stateOf(by selectedBy, sidecar, ready, open bool) PodState {
	switch {
	case !sidecar && by.any:
		return Bare
	case !sidecar:
		return Idle
	case open:
		return Bypassable
	case !ready:
		return Unready
	case !by.any:
		return Uncovered
	case !by.enforce:
		return Audited
	}
	return Guarded
}

func (p *Pods) count(s PodState) {
	switch s {
	case Guarded:
		p.Guarded++
	case Bare:
		p.Bare++
	case Bypassable:
		p.Bypassable++
	case Unready:
		p.Unready++
	case Uncovered:
		p.Uncovered++
	case Audited:
		p.Audited++
	case Idle:
		return
	}
	p.Total++
}

// hear adds what a sidecar said.
func (v *viewer) hear(p *corev1.Pod, w *Workload, pod *Pod) {
	a, ok := v.facts.answers[p.UID]
	switch {
	case !ok:
		return
	case a.err != nil:
		v.failures = append(v.failures, a.err)
		pod.Trouble = newTrouble("sidecars", a.err).Text
		return
	}
	v.asked++
	w.Heard++
	pod.Heard = true
	if v.oldest.IsZero() || a.at.Before(v.oldest) {
		v.oldest = a.at
	}
	since := minuteOf(v.now) - Window
	for _, c := range a.by {
		for minute, n := range c.minutes {
			if minute > since {
				pod.Refused += n
			}
		}
	}
	v.heard = append(v.heard, heard{p.Namespace, w.Name, p.Name, a.tally})
}

// refused tells workloads what they refused.
func (v *viewer) refused(groups []Group) {
	type key struct {
		*Workload
		decision.Reason
	}
	by := map[key]int{}
	for i := range groups {
		g := &groups[i]
		w := v.workloads[g.Namespace+" "+g.Workload]
		if w == nil {
			continue
		}
		w.Refused += g.Count
		w.Minutes.add(&g.Minutes)
		by[key{w, g.Reason}] += g.Count
	}
	for k, n := range by {
		if top := by[key{k.Workload, k.Workload.Top}]; n > top || n == top && k.Reason < k.Workload.Top {
			k.Workload.Top = k.Reason
		}
	}
}

func (v *viewer) policy(p fleet.Policy, groups []Group) Policy {
	out := Policy{Policy: p, Level: Good, Conditions: []Condition{}, Workloads: []string{}}
	for i := range v.facts.policies {
		a := &v.facts.policies[i]
		if a.Namespace != p.Namespace || a.Name != p.Name {
			continue
		}
		for j := range v.facts.held {
			v.facts.held[j].Add(out.Keys)
		}
		fleet.AddFetches(out.Keys, v.facts.policies[i:i+1], v.facts.fetches)
		out.Selector, out.Rules = selector(a), len(a.Spec.Rules)
		for _, c := range a.Status.Conditions {
			out.Conditions = append(out.Conditions, Condition{c.Type, string(c.Status), c.Reason, c.Message, c.LastTransitionTime.Time, Good})
		}
	}
	for _, w := range v.workloads {
		if w.Namespace == p.Namespace && slices.Contains(w.Policies, p.Name) {
			out.Workloads = append(out.Workloads, w.Name)
			out.Heard += w.Heard
		}
	}
	slices.Sort(out.Workloads)
	for i := range groups {
		if g := &groups[i]; g.Policy == p.Namespace+"/"+p.Name {
			out.Refused += g.Count
			out.Minutes.add(&g.Minutes)
		}
	}
	return out
}

// selector is a policy's selector as kubectl takes it.
func selector(p *v1alpha1.AuthPolicy) string {
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(p.Spec.Selector.MatchLabels)) {
		parts = append(parts, key+"="+p.Spec.Selector.MatchLabels[key])
	}
	for _, e := range p.Spec.Selector.MatchExpressions {
		text := e.Key + " " + string(e.Operator)
		if len(e.Values) > 0 {
			text += " (" + strings.Join(e.Values, ", ") + ")"
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, ", ")
}

// troubles adds what kept sidecars from being asked: the first of the failures stands for all.
func (v *viewer) troubles(s *State) {
	if len(v.failures) > 0 {
		s.Troubles = append(s.Troubles, newTrouble("sidecars", v.failures[0]))
	}
}

// podRank orders pods, the worst first.
var podRank = []PodState{Bypassable, Bare, Unready, Uncovered, Audited, Guarded, Idle}

func (w *Workload) sort() {
	slices.SortFunc(w.List, func(a, b Pod) int {
		return cmp.Or(slices.Index(podRank, a.State)-slices.Index(podRank, b.State), b.Refused-a.Refused, strings.Compare(a.Name, b.Name))
	})
}

func (w *Workload) cut() {
	w.More = max(0, len(w.List)-mostPods)
	w.List = w.List[:min(len(w.List), mostPods)]
}

// bypassed returns the pods, "namespace/name", that the controller names as open past their sidecars.
func bypassed(policies []v1alpha1.AuthPolicy) map[string]bool {
	out := map[string]bool{}
	for i := range policies {
		p := &policies[i]
		for _, c := range p.Status.Conditions {
			if c.Reason != v1alpha1.ReasonBypassable {
				continue
			}
			for word := range strings.FieldsFuncSeq(c.Message, func(r rune) bool { return strings.ContainsRune(" ,:;()\"", r) }) {
				out[p.Namespace+"/"+strings.TrimPrefix(word, p.Namespace+"/")] = true
			}
		}
	}
	return out
}
