package inject

import (
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/bearerguard/bearerguard/api/probe"
)

// Seconds of a pod's end. Kubernetes takes a pod out of its Services at the same time as it tells the app to stop, so for
// a moment requests come to an app that is gone. Where the app's containers say nothing of that themselves, in a preStop
// hook, injection has them ask the sidecar, which answers after its --drain-wait, in which clients learn to go, and holdMore; or
// soon, if the pod stays and only the container is to end.
const (
	drainWait = 5                                   // how long the endpoints' news takes to reach every node, amply
	holdMore  = int64(probe.HoldMore / time.Second) // for what was asked last
)

// defaultGrace is what a pod has whose terminationGracePeriodSeconds is not set.
const defaultGrace = 30

// parseDrainWait reads "5s" and returns seconds.
func parseDrainWait(field, value string) (int64, error) {
	d, err := time.ParseDuration(value)
	if err != nil || d < 0 || d > time.Hour || d%time.Second != 0 {
		return 0, refuse(field, `whole seconds such as "5s", at most "1h"; "0s" for none`, "%q is not that", value)
	}
	return int64(d / time.Second), nil
}

// resolveDrainWait sets how long pod's sidecar waits: what its annotation says, else the default, drainWait if there is no
// other, or what fits into half of its grace period, and nothing for a pod that ends by itself, as those of Jobs do: it
// serves nobody.
func (s *settings) resolveDrainWait(pod *corev1.Pod) error {
	grace := int64(defaultGrace)
	if g := pod.Spec.TerminationGracePeriodSeconds; g != nil {
		grace = *g
	}
	s.drainWait = drainWait
	at, set := s.said[drainWaitName]
	if set {
		s.drainWait, _ = parseDrainWait(at.field, at.value) // it was checked
	}
	switch {
	case set && at.rank == ofPod:
		if s.drainWait > 0 && s.drainWait+holdMore >= grace {
			return refuse(at.field, fmt.Sprintf("at least %d s less", s.drainWait+holdMore-grace+1),
				"%d s and %d more do not fit into spec.terminationGracePeriodSeconds, which is %d", s.drainWait, holdMore, grace)
		}
	case pod.Spec.RestartPolicy != "" && pod.Spec.RestartPolicy != corev1.RestartPolicyAlways:
		s.drainWait = 0
	default:
		s.drainWait = max(0, min(s.drainWait, grace/2-holdMore))
	}
	return nil
}

// hold has the app's containers stay while clients leave. One that has a preStop hook is left to it.
func (s *settings) hold(pod *corev1.Pod) {
	if s.drainWait == 0 {
		return
	}
	for i := range pod.Spec.Containers {
		c := &pod.Spec.Containers[i]
		if c.Lifecycle == nil {
			c.Lifecycle = &corev1.Lifecycle{}
		}
		if c.Lifecycle.PreStop == nil {
			c.Lifecycle.PreStop = holdHook()
		}
	}
}

// holdHook asks the sidecar how long to stay.
func holdHook() *corev1.LifecycleHandler {
	return &corev1.LifecycleHandler{HTTPGet: &corev1.HTTPGetAction{
		Path: probe.HoldPath, Port: intstr.FromInt32(AdminPort), Scheme: corev1.URISchemeHTTP,
	}}
}

// release takes out what hold put in, or that of an earlier release, by the arguments of the sidecar that it was put in for.
func release(pod *corev1.Pod, sidecar []string) {
	i := slices.Index(sidecar, drainWaitFlag)
	if i < 0 || i+1 == len(sidecar) {
		return
	}
	d, err := time.ParseDuration(sidecar[i+1])
	if err != nil {
		return
	}
	for i := range pod.Spec.Containers {
		l := pod.Spec.Containers[i].Lifecycle
		if l == nil || l.PreStop == nil || !holds(l.PreStop, int64(d/time.Second)) {
			continue
		}
		l.PreStop = nil
		if *l == (corev1.Lifecycle{}) {
			pod.Spec.Containers[i].Lifecycle = nil
		}
	}
}

// holds reports whether a hook is what hold puts in, or put in before the sidecar was asked.
func holds(h *corev1.LifecycleHandler, wait int64) bool {
	if h.Sleep != nil {
		return h.Sleep.Seconds == wait+holdMore
	}
	return h.HTTPGet != nil && h.HTTPGet.Path == probe.HoldPath && h.HTTPGet.Port.IntVal == AdminPort
}

// drainWaitFlag is the sidecar's.
const drainWaitFlag = "--drain-wait"

// drainArgs returns what the sidecar is told of it.
func (s *settings) drainArgs() []string {
	if s.drainWait == 0 {
		return nil
	}
	return []string{drainWaitFlag, fmt.Sprintf("%ds", s.drainWait)}
}

// leaveHook tells the sidecar that its pod is to stop, when the app's containers are told too.
func (s *settings) leaveHook() *corev1.Lifecycle {
	if s.drainWait == 0 {
		return nil
	}
	return &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Exec: &corev1.ExecAction{
		Command: []string{"/sidecar", "leave", "--state-dir", stateDir},
	}}}
}
