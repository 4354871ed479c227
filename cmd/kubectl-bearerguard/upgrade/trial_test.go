package upgrade

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/controllers/inject"
)

func TestTrial(t *testing.T) {
	t.Parallel()
	like := pod("orders-0", noted(old), func(p *corev1.Pod) {
		p.Annotations[v1alpha1.AnnotationCapture], p.Annotations["team"] = "ports", "a"
		p.Labels["app"] = "orders"
		p.Spec.NodeName = "node1"
		p.Spec.InitContainers[1].Args = []string{"run", "--max-streams", "7"}
	})
	got := Trial(&like, next)
	if diff := cmp.Diff(map[string]string{v1alpha1.AnnotationInject: "enabled", v1alpha1.AnnotationCapture: "ports"}, got.Annotations); diff != "" {
		t.Errorf("annotations (-want +got):\n%s", diff)
	}
	if len(got.Labels) != 0 || got.Spec.NodeName != "node1" || len(got.Spec.Containers) != 1 {
		t.Errorf("%+v: no Service is to find it", got)
	}
	c := got.Spec.Containers[0]
	if diff := cmp.Diff([]string{"run", "--max-streams", "7", "--help"}, c.Args); diff != "" || c.Image != next {
		t.Errorf("%s of %s (-want +got):\n%s", c.Name, c.Image, diff)
	}
	if len(like.Spec.InitContainers[1].Args) != 3 {
		t.Error("it changed the pod that it was made like")
	}
}

func TestJudgeTrial(t *testing.T) {
	t.Parallel()
	of := func(name string, s corev1.ContainerState) corev1.PodStatus {
		status := corev1.PodStatus{Phase: corev1.PodPending, ContainerStatuses: []corev1.ContainerStatus{{Name: name, State: s}}}
		if name == inject.SidecarName {
			status.InitContainerStatuses, status.ContainerStatuses = status.ContainerStatuses, nil
		}
		return status
	}
	ended := func(code int32, message string) corev1.ContainerState {
		return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Reason: "Error", Message: message}}
	}
	waits := func(reason string) corev1.ContainerState {
		return corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: "x"}}
	}
	for name, tt := range map[string]struct {
		status corev1.PodStatus
		want   Outcome
		why    string
	}{
		"it has just been made":       {corev1.PodStatus{Phase: corev1.PodPending}, Pending, "the trial has not begun"},
		"its image is pulled":         {of(trialName, waits("PodInitializing")), Pending, "the trial has not begun"},
		"there is no such image":      {of(trialName, waits("ErrImagePull")), Fails, "container trial of the trial: ErrImagePull: x"},
		"its own sidecar has none":    {of(inject.SidecarName, waits("ErrImagePull")), Fails, "container bearerguard of the trial: ErrImagePull: x"},
		"it does not know a flag":     {of(trialName, ended(1, "unknown flag: --y")), Fails, "it does not take the flags that the sidecar has: Error: unknown flag: --y"},
		"it ran":                      {of(trialName, ended(0, "")), Runs, ""},
		"all of it ran":               {corev1.PodStatus{Phase: corev1.PodSucceeded}, Runs, ""},
		"its node takes it not":       {corev1.PodStatus{Phase: corev1.PodFailed, Reason: "OutOfmemory", Message: "no room"}, Fails, "OutOfmemory: no room"},
		"its sidecar ended after all": {of(inject.SidecarName, ended(0, "")), Pending, "the trial has not begun"},
	} {
		if got, why := JudgeTrial(&corev1.Pod{Status: tt.status}); got != tt.want || why != tt.why {
			t.Errorf("%s: %d, %q; want %d, %q", name, got, why, tt.want, tt.why)
		}
	}
}
