package dashboard

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/decision/advice"
	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/fleet"
)

// Finding is something that is not as it should be, and what to do about it.
type Finding struct {
	Level Level  `json:"level"`
	Title string `json:"title"`
	// Kind is "policy" or "workload", which Namespace and Name name.
	Kind      string `json:"kind"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Text      string `json:"text"`
	Do        string `json:"do"`
	// Try are commands that show more.
	Try []string `json:"try,omitempty"`
	// Reason is set where the page of a decision.Reason says more.
	Reason decision.Reason `json:"reason,omitempty"`
}

// meaning is what a condition that is not as it should be means. NAMESPACE, NAME stand for the policy's.
type meaning struct {
	level     Level
	title, do string
	try       []string
}

const (
	describePolicy = "kubectl describe authpolicy NAME -n NAMESPACE"
	showStatus     = "kubectl bearerguard status -n NAMESPACE"
)

// conditions has the meaning of each reason, as docs/operations.md tells it.
var conditions = map[string]meaning{
	v1alpha1.ReasonInvalid: {Bad, "Policy is not valid", "Mend the field that the message names. Until then its sidecars enforce a stand-in that allows nothing.",
		[]string{"kubectl bearerguard lint -f FILE", describePolicy}},
	v1alpha1.ReasonUnguarded: {Bad, "Pods without a sidecar", "Whoever reaches them gets in. Annotate the workload or its namespace and roll it out; if it is not meant, make the selector narrower.",
		[]string{"kubectl rollout restart -n NAMESPACE WORKLOAD", showStatus}},
	v1alpha1.ReasonBypassable: {Bad, "Can be reached past the sidecar", "Have the app listen on 127.0.0.1, or use capture: redirect, or close the port with networkPolicy: true.",
		[]string{describePolicy}},
	v1alpha1.ReasonRejected: {Bad, "A sidecar cannot use the policy", "It goes on with what it had. Mostly it is older than the controller: roll its workload out.",
		[]string{"kubectl rollout restart -n NAMESPACE WORKLOAD", describePolicy}},
	v1alpha1.ReasonKeySourceFailed: {Bad, "Keys cannot be read", "The message says what the source answers: a URL, a Secret or ConfigMap that is missing, an egress rule. Tokens of an issuer without keys get 503.",
		[]string{"kubectl bearerguard keys -n NAMESPACE", describePolicy}},
	v1alpha1.ReasonDisconnected: {Warn, "Sidecars out of touch", "They go on with old rules, keys and revocations. Do they run, and can they reach Service bearerguard-push, or does a NetworkPolicy forbid it?",
		[]string{showStatus, describePolicy}},
	v1alpha1.ReasonPending: {Warn, "Sidecars are behind", "They are about to take this generation, or pods are starting: a second as a rule, a minute for a new pod.",
		[]string{showStatus}},
	v1alpha1.ReasonNotSaved: {Warn, "Rules are not saved on disk", "A sidecar that restarts while the controller is away begins with older rules, or refuses everything. Is the volume bearerguard-state full or read-only?",
		[]string{describePolicy}},
}

// fine are reasons that need no finding although their condition is not True: they are told in another place.
var fine = map[string]bool{v1alpha1.ReasonNoWorkload: true, v1alpha1.ReasonNoSidecars: true}

func meaningOf(reason string) meaning {
	if m, ok := conditions[reason]; ok {
		return m
	}
	return meaning{Warn, reason, "See what the controller says of it.", []string{describePolicy}}
}

// findings finds what is wrong, the worst first, and sets the levels of conditions.
func findings(s *State) []Finding {
	var out []Finding
	for i := range s.Policies {
		out = append(out, ofPolicy(s, &s.Policies[i])...)
	}
	for i := range s.Workloads {
		out = append(out, ofWorkload(&s.Workloads[i])...)
	}
	out = append(out, ofRefusals(&s.Refusals)...)
	slices.SortStableFunc(out, func(a, b Finding) int {
		return cmp.Or(a.Level.rank()-b.Level.rank(), strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
	})
	return out
}

func ofPolicy(s *State, p *Policy) []Finding {
	var out []Finding
	add := func(reason, text string, level Level) {
		m := meaningOf(reason)
		f := Finding{Level: level, Title: m.title, Kind: "policy", Namespace: p.Namespace, Name: p.Name, Text: text, Do: m.do}
		workload := "deploy/NAME"
		if len(p.Workloads) > 0 {
			workload = p.Workloads[0]
		}
		for _, t := range m.try {
			f.Try = append(f.Try, strings.NewReplacer("NAMESPACE", p.Namespace, "NAME", p.Name, "WORKLOAD", workload).Replace(t))
		}
		out = append(out, f)
	}
	told := map[string]bool{}
	for i := range p.Conditions {
		c := &p.Conditions[i]
		if c.Status == "True" || fine[c.Reason] {
			continue
		}
		c.Level = meaningOf(c.Reason).level
		if c.Reason == v1alpha1.ReasonKeySourceFailed && !slices.ContainsFunc(p.Keys, keyless) {
			c.Level = Warn
		}
		if c.Type == v1alpha1.ConditionReady || told[c.Reason] || c.Reason == v1alpha1.ReasonUnguarded && toldBare(s, p) {
			continue
		}
		told[c.Reason] = true
		add(c.Reason, c.Message, c.Level)
	}
	switch {
	case len(p.Conditions) == 0:
		out = append(out, Finding{Warn, "The controller has not seen it", "policy", p.Namespace, p.Name, "The policy has no status.",
			"A second after it was made it should have one. Does the controller run, and is the namespace one of those that it looks after?",
			[]string{"kubectl get pods -A -l app.kubernetes.io/name=bearerguard"}, ""})
	case p.Observed < p.Generation && len(told) == 0:
		add(v1alpha1.ReasonPending, fmt.Sprintf("The controller is at generation %d, the policy at %d.", p.Observed, p.Generation), Warn)
	}
	return out
}

func toldBare(s *State, p *Policy) bool {
	return slices.ContainsFunc(s.Workloads, func(w Workload) bool {
		return w.Namespace == p.Namespace && slices.Contains(p.Workloads, w.Name) && slices.ContainsFunc(w.List, isIn(Bare))
	})
}

func isIn(s PodState) func(Pod) bool { return func(p Pod) bool { return p.State == s } }

// ofPods has what the states of pods mean.
var ofPods = []struct {
	state     PodState
	level     Level
	title, do string
	try       string
}{
	{Bare, Bad, "Pods without a sidecar", conditions[v1alpha1.ReasonUnguarded].do, "kubectl rollout restart -n NAMESPACE WORKLOAD"},
	{Unready, Warn, "Sidecar is not ready", "It starts, or has no rules or keys yet: its log says which. Its pod gets no requests meanwhile.", "kubectl logs -n NAMESPACE POD -c bearerguard"},
	{Uncovered, Warn, "No policy selects its pods", "Every request is refused (NoPolicy). Write an AuthPolicy whose selector fits the pods' labels.", "kubectl get pod -n NAMESPACE POD --show-labels"},
	{Audited, Warn, "Audit alone: nothing is refused", "Only Audit policies select its pods, so everything is let through. Look at what they would refuse, and set mode: Enforce.", "kubectl bearerguard logs -n NAMESPACE WORKLOAD"},
}

func ofWorkload(w *Workload) []Finding {
	var out []Finding
	for _, about := range ofPods {
		at := slices.IndexFunc(w.List, isIn(about.state))
		if at < 0 {
			continue
		}
		n := 0
		for i := range w.List {
			if w.List[i].State == about.state {
				n++
			}
		}
		text := fmt.Sprintf("%d of %d pods: %s", n, w.Pods, w.List[at].Name)
		if n > 1 {
			text += fmt.Sprintf(" and %d more", n-1)
		}
		out = append(out, Finding{about.level, about.title, "workload", w.Namespace, w.Name, text, about.do,
			[]string{strings.NewReplacer("NAMESPACE", w.Namespace, "WORKLOAD", w.Name, "POD", w.List[at].Name).Replace(about.try)}, ""})
	}
	if len(w.Releases) > 1 {
		out = append(out, Finding{Warn, "Sidecars of several releases", "workload", w.Namespace, w.Name, strings.Join(w.Releases, ", "),
			"Roll the workload out to have one.", []string{"kubectl rollout restart -n " + w.Namespace + " " + w.Name}, ""})
	}
	return out
}

// ours are reasons that lie with whoever runs the guard or the app, not with the clients.
var ours = map[decision.Reason]Level{
	decision.InternalError: Bad, decision.NotReady: Warn, decision.Stale: Bad, decision.NoPolicy: Warn, decision.KeysUnavailable: Bad,
	decision.IntrospectionUnavailable: Bad, decision.Overloaded: Warn, decision.UpstreamUnavailable: Warn, decision.UpstreamTimeout: Warn,
	decision.UpstreamMalformed: Warn,
}

func ofRefusals(r *Refusals) []Finding {
	var out []Finding
	for i := range r.Reasons {
		level, ok := ours[r.Reasons[i].Reason]
		if !ok {
			continue
		}
		reason := &r.Reasons[i]
		for _, w := range reason.Workloads {
			times := "once"
			if w.Count > 1 {
				times = fmt.Sprintf("%d times", w.Count)
			}
			out = append(out, Finding{level, fmt.Sprintf("Answers %d: %s", reason.Status, reason.Reason), "workload", w.Namespace, w.Name,
				fmt.Sprintf("%s in the last %d minutes", times, Window), advice.Of(reason.Reason).Do, nil, reason.Reason})
		}
	}
	return out
}

// levels gives policies and workloads the level of their worst finding, and sorts them, the worst first.
func levels(s *State) {
	worst := map[string]Level{}
	for _, f := range s.Findings {
		key := f.Kind + " " + f.Namespace + " " + f.Name
		if l, ok := worst[key]; !ok || f.Level.rank() < l.rank() {
			worst[key] = f.Level
		}
	}
	for i := range s.Policies {
		p := &s.Policies[i]
		if l, ok := worst["policy "+p.Namespace+" "+p.Name]; ok {
			p.Level = l
		}
		for j := range p.Conditions {
			if p.Conditions[j].Level.rank() < p.Level.rank() {
				p.Level = p.Conditions[j].Level
			}
		}
	}
	for i := range s.Workloads {
		w := &s.Workloads[i]
		if l, ok := worst["workload "+w.Namespace+" "+w.Name]; ok {
			w.Level = l
		}
		if slices.ContainsFunc(w.List, isIn(Bypassable)) {
			w.Level = Bad
		}
	}
	slices.SortStableFunc(s.Policies, func(a, b Policy) int {
		return cmp.Or(a.Level.rank()-b.Level.rank(), strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
	})
	slices.SortStableFunc(s.Workloads, func(a, b Workload) int {
		return cmp.Or(a.Level.rank()-b.Level.rank(), strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
	})
}

// keyless reports whether an issuer has no keys.
func keyless(k fleet.Keys) bool { return k.State == v1alpha1.KeysMissing }
