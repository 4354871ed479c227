package upgrade

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/controllers/inject"
)

const (
	old  = "registry.example/bearerguard:1"
	next = "registry.example/bearerguard:2"
)

// pod makes a ready pod of a StatefulSet, whose name is what comes before the dash, with a sidecar.
func pod(name string, change ...func(*corev1.Pod)) corev1.Pod {
	app, _, _ := strings.Cut(name, "-")
	p := corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: name, UID: types.UID("uid-" + name), Labels: map[string]string{"app": app},
			Annotations:     map[string]string{v1alpha1.AnnotationInjected: "1"},
			OwnerReferences: []metav1.OwnerReference{{Kind: "StatefulSet", Name: app, Controller: new(true)}},
		},
		Spec: corev1.PodSpec{
			InitContainers: []corev1.Container{
				{Name: inject.CaptureName, Image: old},
				{Name: inject.SidecarName, Image: old, RestartPolicy: new(corev1.ContainerRestartPolicyAlways)},
			},
			Containers: []corev1.Container{{Name: "app", Image: "app:1"}},
		},
		Status: corev1.PodStatus{
			Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
			InitContainerStatuses: []corev1.ContainerStatus{{
				Name: inject.SidecarName, ContainerID: "c://1", Ready: true, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
			}},
			ContainerStatuses: []corev1.ContainerStatus{{Name: "app", RestartCount: 3, Ready: true}},
		},
	}
	for _, c := range change {
		c(&p)
	}
	return p
}

func unready(p *corev1.Pod) { p.Status.Conditions[0].Status = corev1.ConditionFalse }
func going(p *corev1.Pod)   { p.DeletionTimestamp = &metav1.Time{Time: time.Unix(0, 0)} }
func bare(p *corev1.Pod)    { p.Spec.InitContainers = nil }
func ended(p *corev1.Pod)   { p.Status.Phase = corev1.PodSucceeded }
func has(image string) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Spec.InitContainers[1].Image = image }
}
func noted(image string) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Annotations[v1alpha1.AnnotationFormerImage] = image }
}

// hasty has a liveness probe that bears no absence of the sidecar for so many seconds.
func hasty(seconds int32) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Spec.Containers[0].LivenessProbe = &corev1.Probe{
			PeriodSeconds: seconds, FailureThreshold: 2,
			ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Port: intstr.FromInt32(inject.AdminPort)}},
		}
	}
}

// budget wants some of the pods of an app, of which so many are expected, and allows so many to be away.
func budget(app string, desired, expected, allowed int32) policyv1.PodDisruptionBudget {
	return policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Name: "budget", Generation: 2},
		Spec:       policyv1.PodDisruptionBudgetSpec{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": app}}},
		Status: policyv1.PodDisruptionBudgetStatus{
			ObservedGeneration: 2, DesiredHealthy: desired, ExpectedPods: expected, DisruptionsAllowed: allowed, CurrentHealthy: desired + allowed,
		},
	}
}

// slice has endpoints of a Service, which are ready.
func slice(service string, pods ...string) discoveryv1.EndpointSlice {
	s := discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{discoveryv1.LabelServiceName: service}}}
	for _, p := range pods {
		e := discoveryv1.Endpoint{TargetRef: &corev1.ObjectReference{Kind: "Pod", Name: strings.TrimSuffix(p, "!")}}
		if strings.HasSuffix(p, "!") { // not ready, of a Service that publishes it all the same
			e.Conditions = discoveryv1.EndpointConditions{Ready: new(true), Serving: new(false)}
		}
		s.Endpoints = append(s.Endpoints, e)
	}
	return s
}

func TestPlanAndNext(t *testing.T) {
	t.Parallel()
	two := []corev1.Pod{pod("orders-0"), pod("orders-1")}
	tests := map[string]struct {
		world World
		o     Options
		// plan is "POD STATE" of each, start the names of those that may be begun, why a part of what keeps the rest.
		plan  []string
		start []string
		why   string
	}{
		"one of a workload at a time": {World{Pods: two}, Options{}, []string{"orders-0 due", "orders-1 due"}, []string{"orders-0"}, ""},
		"two at a time where two may be away": {
			World{Pods: []corev1.Pod{pod("orders-0"), pod("orders-1"), pod("orders-2")}}, Options{MaxUnavailable: 2},
			[]string{"orders-0 due", "orders-1 due", "orders-2 due"}, []string{"orders-0", "orders-1"}, "",
		},
		"a pod of a workload that misses one already waits": {
			World{Pods: []corev1.Pod{pod("orders-0"), pod("orders-1", unready)}}, Options{},
			[]string{"orders-0 due", "orders-1 unready"}, nil, "pod orders-0: 1 of sts/orders are not ready; --max-unavailable is 1",
		},
		"another workload's turn comes meanwhile": {
			World{Pods: []corev1.Pod{pod("orders-0"), pod("orders-1", unready), pod("pay-0")}}, Options{},
			[]string{"orders-0 due", "orders-1 unready", "pay-0 due"}, []string{"pay-0"}, "pod orders-0",
		},
		"pods that are going, have ended or have no sidecar do not count": {
			World{Pods: []corev1.Pod{pod("orders-0"), pod("orders-1", going), pod("orders-2", bare), pod("orders-3", ended, unready)}}, Options{},
			[]string{"orders-0 due"}, []string{"orders-0"}, "",
		},
		"only what was named": {
			World{Pods: append([]corev1.Pod{pod("pay-0")}, two...), Named: map[string]bool{"orders-1": true}}, Options{},
			[]string{"orders-1 due"}, []string{"orders-1"}, "",
		},
		"what has the image is done": {
			World{Pods: []corev1.Pod{pod("orders-0", has(next)), pod("orders-1")}}, Options{},
			[]string{"orders-0 current", "orders-1 due"}, []string{"orders-1"}, "",
		},
		"what an earlier run has begun is taken up before anything else": {
			World{Pods: []corev1.Pod{pod("orders-0"), pod("orders-1", has(next), noted(old), unready)}}, Options{},
			[]string{"orders-0 due", "orders-1 begun"}, []string{"orders-1"}, "",
		},
		"what an earlier run left with a third image is told of": {
			World{Pods: []corev1.Pod{pod("orders-0", has("bad:1"), noted(old), unready)}}, Options{},
			[]string{"orders-0 unready"}, nil, "",
		},
		"a budget that allows one": {
			World{Pods: two, Budgets: []policyv1.PodDisruptionBudget{budget("orders", 1, 2, 1)}}, Options{MaxUnavailable: 2},
			[]string{"orders-0 due", "orders-1 due"}, []string{"orders-0"}, "lets no pod be away now: 1 are healthy, 1 are wanted",
		},
		"a budget that allows none now": {
			World{Pods: two, Budgets: []policyv1.PodDisruptionBudget{budget("orders", 1, 2, 0)}}, Options{},
			[]string{"orders-0 due", "orders-1 due"}, nil, "pod orders-0: PodDisruptionBudget budget lets no pod be away now",
		},
		"a budget whose status is older than the pods": {
			World{
				Pods:    []corev1.Pod{pod("orders-0"), pod("orders-1"), pod("orders-2", unready)},
				Budgets: []policyv1.PodDisruptionBudget{budget("orders", 2, 3, 1)},
			}, Options{MaxUnavailable: 3},
			[]string{"orders-0 due", "orders-1 due", "orders-2 unready"}, nil, "2 are healthy, 2 are wanted",
		},
		"a budget that can never allow any": {
			World{Pods: two, Budgets: []policyv1.PodDisruptionBudget{budget("orders", 2, 2, 0)}}, Options{Interrupt: true},
			[]string{"orders-0 held", "orders-1 held"}, nil, "",
		},
		"a budget of others": {
			World{Pods: two, Budgets: []policyv1.PodDisruptionBudget{budget("pay", 2, 2, 0), {}}}, Options{},
			[]string{"orders-0 due", "orders-1 due"}, []string{"orders-0"}, "",
		},
		"the only pod of a Service": {
			World{Pods: []corev1.Pod{pod("orders-0")}, Slices: []discoveryv1.EndpointSlice{slice("orders", "orders-0")}}, Options{},
			[]string{"orders-0 held"}, nil, "",
		},
		"the only pod of a Service, where requests may fail": {
			World{Pods: []corev1.Pod{pod("orders-0")}, Slices: []discoveryv1.EndpointSlice{slice("orders", "orders-0")}}, Options{Interrupt: true},
			[]string{"orders-0 due"}, []string{"orders-0"}, "",
		},
		"the only pod of its workload, beside another of the Service": {
			World{
				Pods:   []corev1.Pod{pod("orders-0"), pod("canary-0")},
				Slices: []discoveryv1.EndpointSlice{slice("orders", "orders-0"), slice("orders", "canary-0")},
			}, Options{MaxUnavailable: 2},
			[]string{"canary-0 due", "orders-0 due"}, []string{"canary-0"}, "no other pod of Service orders is ready",
		},
		"a Service that says of a pod that it is ready when it is not": {
			World{
				Pods:   []corev1.Pod{pod("orders-0"), pod("canary-0", unready)},
				Slices: []discoveryv1.EndpointSlice{slice("orders", "orders-0", "canary-0!")},
			}, Options{},
			[]string{"canary-0 unready", "orders-0 held"}, nil, "",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tt.o.Image, tt.o.MaxUnavailable = next, max(tt.o.MaxUnavailable, 1)
			plan := Plan(&tt.world, tt.o)
			var got []string
			for _, p := range plan {
				got = append(got, p.Name+" "+string(p.State))
				if p.From == "" || (p.State == Held || p.State == Unready) == (p.Why == "") {
					t.Errorf("%+v: want where it comes from, and why it is kept", p)
				}
			}
			if diff := cmp.Diff(tt.plan, got); diff != "" {
				t.Errorf("plan (-want +got):\n%s", diff)
			}
			begin, why := Next(&tt.world, tt.o, plan)
			var start []string
			for _, p := range begin {
				start = append(start, p.Name)
			}
			if diff := cmp.Diff(tt.start, start); diff != "" {
				t.Errorf("start (-want +got):\n%s", diff)
			}
			if !strings.Contains(why, tt.why) || tt.why == "" && why != "" {
				t.Errorf("why: %q; want %q", why, tt.why)
			}
		})
	}
}

func TestProbesThatBearNoAbsence(t *testing.T) {
	t.Parallel()
	w := World{Pods: []corev1.Pod{pod("orders-0", hasty(1)), pod("pay-0", hasty(10))}}
	plan := Plan(&w, Options{Image: next, MaxUnavailable: 1})
	if plan[0].State != Due || !strings.Contains(plan[0].Why, "container app restarts if the sidecar is away for more than 1s") || plan[1].Why != "" {
		t.Errorf("plan: %+v", plan)
	}
	if d, _ := Patience(&w.Pods[1]); d != 10*time.Second {
		t.Errorf("it bears %s; want 10s", d)
	}
}

func TestReachable(t *testing.T) {
	t.Parallel()
	all := []discoveryv1.EndpointSlice{slice("b", "orders-0"), slice("a", "orders-0", "orders-1"), slice("c", "orders-0!"), slice("", "orders-0")}
	if diff := cmp.Diff([]string{"a", "b"}, Reachable(all, "orders-0")); diff != "" {
		t.Error(diff)
	}
}
