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

// State is what the page draws.
type State struct {
	About
	// Loading: nothing has been read yet.
	Loading bool `json:"loading,omitempty"`
	// At is when it was last tried to read all of it.
	At time.Time `json:"at,omitzero"`
	// Troubles say what could not be read: what is shown of it is what was known before.
	Troubles []*Trouble `json:"troubles"`
	// PoliciesKnown and PodsKnown say whether they have ever been read: without, that there are none says nothing.
	PoliciesKnown bool `json:"policiesKnown"`
	PodsKnown     bool `json:"podsKnown"`
	Pods          Pods `json:"pods"`
	// Findings are what is wrong, the worst first.
	Findings  []Finding  `json:"findings"`
	Policies  []Policy   `json:"policies"`
	Workloads []Workload `json:"workloads"`
	Refusals  Refusals   `json:"refusals"`
}

// Pods counts pods by their PodState. Idle ones are not counted.
type Pods struct {
	Total      int `json:"total"`
	Guarded    int `json:"guarded"`
	Bypassable int `json:"bypassable"`
	Bare       int `json:"bare"`
	Unready    int `json:"unready"`
	Uncovered  int `json:"uncovered"`
	Audited    int `json:"audited"`
}

// PodState says how a pod is guarded.
type PodState string

const (
	// Guarded says that a policy that enforces selects it, and its sidecar is ready.
	Guarded PodState = "guarded"
	// Bypassable says that, by the controller's word, it can be reached past its sidecar.
	Bypassable PodState = "bypassable"
	// Bare says that it is selected, and has no sidecar.
	Bare PodState = "bare"
	// Unready says that its sidecar is not ready.
	Unready PodState = "unready"
	// Uncovered says that it has a sidecar and no policy, so that every request is refused.
	Uncovered PodState = "uncovered"
	// Audited says that its sidecar is ready, and only Audit policies select it, so that everything is let through.
	Audited PodState = "audited"
	// Idle says that it is not selected and has no sidecar.
	Idle PodState = "idle"
)

// Level says how bad something is.
type Level string

const (
	// Good is as it should be.
	Good Level = "good"
	// Warn is to be looked at; all that is not allowed is refused.
	Warn Level = "warn"
	// Bad says that something is not guarded, or what should be let in is refused.
	Bad Level = "bad"
)

// rank orders levels, the worst first.
func (l Level) rank() int { return slices.Index([]Level{Bad, Warn, Good}, l) }

// Policy is a policy, what it selects, and what is refused by it.
type Policy struct {
	fleet.Policy
	Level      Level       `json:"level"`
	Conditions []Condition `json:"conditions"`
	Selector   string      `json:"selector"`
	Rules      int         `json:"rules"`
	// Workloads are the names of those with selected pods, in its namespace.
	Workloads []string `json:"workloads"`
	// Heard is how many sidecars of these have said what they refused.
	Heard   int     `json:"heard"`
	Refused int     `json:"refused"`
	Minutes Minutes `json:"minutes"`
}

// Condition is one of a policy's status.
type Condition struct {
	Type    string    `json:"type"`
	Status  string    `json:"status"`
	Reason  string    `json:"reason"`
	Message string    `json:"message"`
	Since   time.Time `json:"since"`
	Level   Level     `json:"level"`
}

// Workload is a workload, its pods, and what it refused.
type Workload struct {
	fleet.Workload
	Level  Level `json:"level"`
	States Pods  `json:"states"`
	// Heard is how many of its sidecars have said what they refused: with none, Refused says nothing.
	Heard   int             `json:"heard"`
	List    []Pod           `json:"list"`
	More    int             `json:"more,omitempty"`
	Refused int             `json:"refused"`
	Minutes Minutes         `json:"minutes"`
	Top     decision.Reason `json:"top,omitempty"`
}

// Pod is one of a workload. Running says whether its sidecar can be asked.
type Pod struct {
	Name    string   `json:"name"`
	State   PodState `json:"state"`
	Running bool     `json:"running,omitempty"`
	Release string   `json:"release,omitempty"`
	// Heard says whether it has said what it refused.
	Heard   bool `json:"heard,omitempty"`
	Refused int  `json:"refused,omitempty"`
	// Trouble is what kept its sidecar from being asked.
	Trouble string `json:"trouble,omitempty"`
}

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
