// Package upgrade decides how the sidecars of running pods get another image: which pod may be next, what is written to it, and
// what has become of it. It is pure.
package upgrade

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/fleet"
	"github.com/bearerguard/bearerguard/controllers/inject"
)

// World is a namespace at a moment.
type World struct {
	Pods []corev1.Pod
	// Named are the pods that the upgrade is about, by name; nil: all.
	Named   map[string]bool
	Budgets []policyv1.PodDisruptionBudget
	Slices  []discoveryv1.EndpointSlice
}

// Pod returns the pod of that name; nil: there is none.
func (w *World) Pod(name string) *corev1.Pod {
	for i := range w.Pods {
		if w.Pods[i].Name == name {
			return &w.Pods[i]
		}
	}
	return nil
}

// Options are what the upgrade is to keep to.
type Options struct {
	// Image is what sidecars are to have.
	Image string
	// MaxUnavailable is how many pods of a workload, and of the upgrade in all, may be away at a time; at least 1.
	MaxUnavailable int
	// Interrupt takes pods that a Service has no other for.
	Interrupt bool
	// NoTrial does not try the image on each node first.
	NoTrial bool
}

// State is where a pod stands.
type State string

// The states.
const (
	// Current has the image.
	Current State = "current"
	// Due is to get it.
	Due State = "due"
	// Begun has it from an earlier run, which did not see the pod become ready.
	Begun State = "begun"
	// Held would leave others without what they count on, whenever it is done.
	Held State = "held"
	// Unready is not ready, so that it would not show whether it still works.
	Unready State = "unready"
)

// Pod is one pod with a sidecar.
type Pod struct {
	Name     string `json:"name"`
	Workload string `json:"workload"`
	// From is the image that the sidecar has, or, of one that has begun, had.
	From  string `json:"from,omitempty"`
	State State  `json:"state"`
	// Why says what keeps it, for people; of one that is due, what may go wrong.
	Why string `json:"why,omitempty"`
}

// usualAbsence is how long a sidecar is away that is replaced by an image that its node has, on a slow day.
const usualAbsence = 3 * time.Second

// Plan tells where each pod with a sidecar stands, those of a workload beside each other.
func Plan(w *World, o Options) []Pod {
	plan := []Pod{}
	for i := range w.Pods {
		p := &w.Pods[i]
		s := sidecarOf(p)
		if s == nil || !lives(p) || w.Named != nil && !w.Named[p.Name] {
			continue
		}
		plan = append(plan, stand(w, o, p, s))
	}
	slices.SortFunc(plan, func(a, b Pod) int {
		return cmp.Or(cmp.Compare(a.Workload, b.Workload), cmp.Compare(a.Name, b.Name))
	})
	return plan
}

func stand(w *World, o Options, p *corev1.Pod, s *corev1.Container) Pod {
	out := Pod{Name: p.Name, Workload: fleet.Owner(p), From: s.Image, State: Due}
	former := p.Annotations[v1alpha1.AnnotationFormerImage]
	switch {
	case s.Image == o.Image && former == "":
		out.State = Current
	case s.Image == o.Image:
		out.State, out.From = Begun, former
	case !Ready(p) && former != "":
		out.State, out.Why = Unready, fmt.Sprintf("an earlier run left it with %s, and it is not ready; run this again with --image %s to have it go back, or delete the pod", s.Image, s.Image)
	case !Ready(p):
		out.State, out.Why = Unready, "the pod is not ready, and would not show whether its sidecar works; see to it, and run this again"
	default:
		if why := never(w, o, p); why != "" {
			out.State, out.Why = Held, why
		} else if d, container := Patience(p); container != "" && d < usualAbsence {
			out.Why = fmt.Sprintf("container %s restarts if the sidecar is away for more than %s: see its liveness probe", container, d)
		}
	}
	return out
}

// never says what would be missed whenever the pod were away; empty: nothing.
func never(w *World, o Options, p *corev1.Pod) string {
	for i := range w.Budgets {
		b := &w.Budgets[i]
		if selects(b, p) && b.Status.ObservedGeneration >= b.Generation && b.Status.ExpectedPods > 0 && b.Status.DesiredHealthy >= b.Status.ExpectedPods {
			return fmt.Sprintf("PodDisruptionBudget %s wants %d of %d pods, and so lets none be away", b.Name, b.Status.DesiredHealthy, b.Status.ExpectedPods)
		}
	}
	if o.Interrupt || others(w, p) > 0 {
		return ""
	}
	for service, ready := range endpoints(w.Slices) {
		if ready[p.Name] && len(ready) == 1 {
			return fmt.Sprintf("it is the only pod of Service %s: requests would fail while its sidecar restarts; run two, or say --interrupt", service)
		}
	}
	return ""
}

// others is how many other pods of its workload live.
func others(w *World, p *corev1.Pod) (n int) {
	for i := range w.Pods {
		if q := &w.Pods[i]; q.Name != p.Name && lives(q) && fleet.Owner(q) == fleet.Owner(p) {
			n++
		}
	}
	return n
}

// Next returns those pods of a plan that may be begun now, and otherwise why the first of them may not. It takes up what has begun
// first: that takes nothing away.
func Next(w *World, o Options, plan []Pod) (start []Pod, why string) {
	for _, p := range plan {
		if p.State == Begun {
			start = append(start, p)
		}
	}
	if len(start) > 0 {
		return start[:min(len(start), o.MaxUnavailable)], ""
	}
	away := map[string]bool{}
	for _, p := range plan {
		if p.State != Due || len(start) == o.MaxUnavailable {
			continue
		}
		if reason := notNow(w, o, p, away); reason != "" {
			why = cmp.Or(why, "pod "+p.Name+": "+reason)
			continue
		}
		start, away[p.Name] = append(start, p), true
	}
	return start, why
}

// notNow says what would be missed if the pod were away now, beside those that are; empty: nothing.
func notNow(w *World, o Options, p Pod, away map[string]bool) string {
	pod, unavailable := w.Pod(p.Name), 0
	for i := range w.Pods {
		q := &w.Pods[i]
		if lives(q) && fleet.Owner(q) == p.Workload && (away[q.Name] || !Ready(q)) {
			unavailable++
		}
	}
	if unavailable >= o.MaxUnavailable {
		return fmt.Sprintf("%d of %s are not ready; --max-unavailable is %d", unavailable, p.Workload, o.MaxUnavailable)
	}
	for i := range w.Budgets {
		if reason := overdrawn(w, &w.Budgets[i], pod, away); reason != "" {
			return reason
		}
	}
	if o.Interrupt {
		return ""
	}
	return alone(w, p, away)
}

// alone says which Service would have no ready pod without p, beside those that are away; empty: none.
func alone(w *World, p Pod, away map[string]bool) string {
	for service, ready := range endpoints(w.Slices) {
		if !ready[p.Name] {
			continue
		}
		left := 0
		for name := range ready {
			if name != p.Name && !away[name] {
				left++
			}
		}
		if left == 0 {
			return "no other pod of Service " + service + " is ready"
		}
	}
	return ""
}

// overdrawn says that a budget does not let pod be away now, beside those that are; empty: it does. What the budget's status says may
// be some moments old, so the pods are counted, too.
func overdrawn(w *World, b *policyv1.PodDisruptionBudget, pod *corev1.Pod, away map[string]bool) string {
	if !selects(b, pod) {
		return ""
	}
	healthy, taken := int32(0), int32(0)
	for i := range w.Pods {
		q := &w.Pods[i]
		switch {
		case !selects(b, q):
		case away[q.Name]:
			taken++
		case lives(q) && Ready(q):
			healthy++
		}
	}
	s := b.Status
	if s.ObservedGeneration < b.Generation || s.DisruptionsAllowed-taken < 1 || healthy-1 < s.DesiredHealthy {
		return fmt.Sprintf("PodDisruptionBudget %s lets no pod be away now: %d are healthy, %d are wanted", b.Name, healthy, s.DesiredHealthy)
	}
	return ""
}

// selects reports whether a budget is for a pod. A budget without a selector is for none.
func selects(b *policyv1.PodDisruptionBudget, p *corev1.Pod) bool {
	s, err := metav1.LabelSelectorAsSelector(b.Spec.Selector)
	return err == nil && s.Matches(labelsOf(p))
}

// endpoints returns for each Service the names of its pods that are ready.
func endpoints(all []discoveryv1.EndpointSlice) map[string]map[string]bool {
	out := map[string]map[string]bool{}
	for i := range all {
		service := all[i].Labels[discoveryv1.LabelServiceName]
		for _, e := range all[i].Endpoints {
			if service == "" || e.TargetRef == nil || e.TargetRef.Kind != "Pod" || !serves(e.Conditions) {
				continue
			}
			if out[service] == nil {
				out[service] = map[string]bool{}
			}
			out[service][e.TargetRef.Name] = true
		}
	}
	return out
}

// serves goes by "serving", which is about the pod where "ready" may be what the Service says (publishNotReadyAddresses).
func serves(c discoveryv1.EndpointConditions) bool {
	if c.Serving != nil {
		return *c.Serving
	}
	return c.Ready == nil || *c.Ready
}

// Reachable returns the Services that send requests to a pod, sorted.
func Reachable(slicesOf []discoveryv1.EndpointSlice, pod string) []string {
	var out []string
	for service, ready := range endpoints(slicesOf) {
		if ready[pod] {
			out = append(out, service)
		}
	}
	slices.Sort(out)
	return out
}

// Ready reports whether a pod is ready.
func Ready(p *corev1.Pod) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

func lives(p *corev1.Pod) bool {
	return p.DeletionTimestamp == nil && p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed
}

// sidecarOf returns a pod's native sidecar; nil without.
func sidecarOf(p *corev1.Pod) *corev1.Container {
	for i := range p.Spec.InitContainers {
		c := &p.Spec.InitContainers[i]
		if c.Name == inject.SidecarName && c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			return c
		}
	}
	return nil
}
