// Package fleet makes of policies and pods what "bearerguard status" and "keys" show. It is pure.
package fleet

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/cluster"
)

// Report is the state of policies and of what they guard.
type Report struct {
	Policies  []Policy   `json:"policies"`
	Workloads []Workload `json:"workloads"`
	// Asked is what was asked of sidecars; nil if none was.
	Asked *Asked `json:"asked,omitempty"`
}

// Policy is one AuthPolicy and what has become of it.
type Policy struct {
	Namespace string      `json:"namespace"`
	Name      string      `json:"name"`
	Mode      policy.Mode `json:"mode"`
	// Ready is the status of the condition, Reason its reason.
	Ready  string `json:"ready"`
	Reason string `json:"reason,omitempty"`
	// Guarded is the status of that condition, GuardedReason its reason: Unguarded, or Bypassable.
	Guarded       string `json:"guarded,omitempty"`
	GuardedReason string `json:"guardedReason,omitempty"`
	// Generation is the spec's, Observed the one that the status speaks of: the controller is behind if they differ.
	Generation int64                   `json:"generation"`
	Observed   int64                   `json:"observed"`
	Sidecars   *v1alpha1.SidecarStatus `json:"sidecars,omitempty"`
	Keys       []Keys                  `json:"keys,omitempty"`
	// Problems are the messages of the conditions that are not as they should be.
	Problems []string `json:"problems,omitempty"`
}

// Workload is pods of one owner.
type Workload struct {
	Namespace string `json:"namespace"`
	// Name is "deploy/orders", or that of a single pod.
	Name string `json:"name"`
	// Pods is how many of them live, Sidecars how many have a sidecar, Ready how many of these are ready.
	Pods     int `json:"pods"`
	Sidecars int `json:"sidecars"`
	Ready    int `json:"ready"`
	// Releases are those of the sidecars.
	Releases []string `json:"releases,omitempty"`
	// Versions are those that sidecars tell, which are others where an image was changed in place.
	Versions []string `json:"versions,omitempty"`
	// Policies select some of the pods.
	Policies []string `json:"policies,omitempty"`
	// Asked is how many of the sidecars told what they refused lately: Refusals, the most frequent first. Partial: there may be more.
	Asked    int        `json:"asked,omitempty"`
	Refusals []Refusals `json:"refusals,omitempty"`
	Partial  bool       `json:"partial,omitempty"`
	Problems []string   `json:"problems,omitempty"`
}

// Fine reports whether nothing has a problem.
func (r *Report) Fine() bool {
	return !slices.ContainsFunc(r.Policies, func(p Policy) bool { return p.Ready != "True" }) &&
		!slices.ContainsFunc(r.Workloads, func(w Workload) bool { return len(w.Problems) > 0 })
}

// New makes a report. Workloads that no policy selects and that have no sidecar are left out.
func New(policies []v1alpha1.AuthPolicy, pods []corev1.Pod) Report {
	r := Report{Policies: []Policy{}, Workloads: []Workload{}}
	for i := range policies {
		r.Policies = append(r.Policies, policyOf(&policies[i]))
	}
	slices.SortFunc(r.Policies, func(a, b Policy) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	by := map[string]*gathered{}
	for i := range pods {
		if p := &pods[i]; p.DeletionTimestamp == nil && p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed {
			name := owner(p)
			key := p.Namespace + " " + name
			if by[key] == nil {
				by[key] = &gathered{Workload: Workload{Namespace: p.Namespace, Name: name}}
			}
			by[key].add(p, policies)
		}
	}
	for _, g := range by {
		if g.Sidecars > 0 || len(g.Policies) > 0 {
			r.Workloads = append(r.Workloads, g.done())
		}
	}
	slices.SortFunc(r.Workloads, func(a, b Workload) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return r
}

func policyOf(p *v1alpha1.AuthPolicy) Policy {
	out := Policy{
		Namespace: p.Namespace, Name: p.Name, Mode: cmp.Or(p.Spec.Mode, policy.Enforce), Ready: "Unknown", Generation: p.Generation,
		Observed: p.Status.ObservedGeneration, Sidecars: p.Status.Sidecars, Keys: KeysOf(p),
	}
	if c := meta.FindStatusCondition(p.Status.Conditions, v1alpha1.ConditionReady); c != nil {
		out.Ready, out.Reason = string(c.Status), c.Reason
	} else {
		out.Reason = "the controller has not seen it"
	}
	if c := meta.FindStatusCondition(p.Status.Conditions, v1alpha1.ConditionGuarded); c != nil {
		out.Guarded, out.GuardedReason = string(c.Status), c.Reason
	}
	for _, c := range p.Status.Conditions {
		if c.Status != metav1.ConditionTrue && c.Type != v1alpha1.ConditionReady && c.Reason != v1alpha1.ReasonNoWorkload {
			out.Problems = append(out.Problems, c.Type+"="+string(c.Status)+" ("+c.Reason+"): "+c.Message)
		}
	}
	if out.Observed < out.Generation && out.Observed > 0 {
		out.Problems = append(out.Problems, fmt.Sprintf("the controller is at generation %d, the policy at %d", out.Observed, out.Generation))
	}
	return out
}

// owner names what a pod belongs to, as kubectl would be told of it.
func owner(p *corev1.Pod) string {
	o := metav1.GetControllerOf(p)
	if o == nil {
		return "pod/" + p.Name
	}
	switch o.Kind {
	case "ReplicaSet":
		if hash := p.Labels["pod-template-hash"]; hash != "" && strings.HasSuffix(o.Name, "-"+hash) {
			return "deploy/" + strings.TrimSuffix(o.Name, "-"+hash)
		}
		return "rs/" + o.Name
	case "StatefulSet":
		return "sts/" + o.Name
	case "DaemonSet":
		return "ds/" + o.Name
	}
	return strings.ToLower(o.Kind) + "/" + o.Name
}

// gathered is a workload while its pods are looked at.
type gathered struct {
	Workload
	bare, unready, uncovered []string
}

func (g *gathered) add(p *corev1.Pod, policies []v1alpha1.AuthPolicy) {
	g.Pods++
	selected := false
	for i := range policies {
		if a := &policies[i]; a.Namespace == p.Namespace && a.Spec.Selector.Matches(p.Labels) {
			selected = true
			g.Policies = with(g.Policies, a.Name)
		}
	}
	if !cluster.HasSidecar(p) {
		if selected {
			g.bare = append(g.bare, p.Name)
		}
		return
	}
	g.Sidecars++
	release, _, _ := strings.Cut(p.Annotations[v1alpha1.AnnotationInjected], "@")
	g.Releases = with(g.Releases, release)
	if _, ready := cluster.SidecarOf(p); ready {
		g.Ready++
	} else {
		g.unready = append(g.unready, p.Name)
	}
	if !selected {
		g.uncovered = append(g.uncovered, p.Name)
	}
}

func (g *gathered) done() Workload {
	for _, wrong := range []struct {
		pods []string
		text string
	}{
		{g.bare, "selected, and without a sidecar"}, {g.unready, "with a sidecar that is not ready"},
		{g.uncovered, "with a sidecar, and no policy selects them: every request is refused (NoPolicy)"},
	} {
		g.Problems = append(g.Problems, problem(g.Pods, wrong.pods, wrong.text)...)
	}
	if len(g.Releases) > 1 {
		g.Problems = append(g.Problems, "sidecars of several releases: restart the pods to have one")
	}
	slices.Sort(g.Releases)
	slices.Sort(g.Policies)
	return g.Workload
}

func with(all []string, s string) []string {
	if s == "" || slices.Contains(all, s) {
		return all
	}
	return append(all, s)
}
