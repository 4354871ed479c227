package upgrade

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func TestComplaints(t *testing.T) {
	t.Parallel()
	event := func(uid, pod, path, reason, message string, count int32) corev1.Event {
		return corev1.Event{
			ObjectMeta: metav1.ObjectMeta{UID: types.UID(uid)}, Reason: reason, Message: message, Count: count,
			InvolvedObject: corev1.ObjectReference{UID: types.UID(pod), FieldPath: path},
		}
	}
	const sidecar = "spec.initContainers{bearerguard}"
	was := []corev1.Event{event("a", "p", sidecar, "Failed", "of yesterday", 2)}
	before := Complain(was, "p")
	for name, tt := range map[string]struct {
		events []corev1.Event
		want   string
	}{
		"nothing new":                    {was, ""},
		"of another pod":                 {append(was, event("b", "q", sidecar, "Failed", "no image", 1)), ""},
		"of the app":                     {append(was, event("b", "p", "spec.containers{app}", "Failed", "no image", 1)), ""},
		"what the kubelet does not mind": {append(was, event("b", "p", sidecar, "BackOff", "Back-off restarting", 1)), ""},
		"an image that there is not": {
			append(was, event("b", "p", sidecar, "Failed", "Error: ErrImagePull", 1), event("c", "p", sidecar, "Failed", "Failed to pull image \"x\": not found", 0)),
			`the kubelet cannot start it: Failed to pull image "x": not found`,
		},
		"the same as yesterday": {[]corev1.Event{event("a", "p", sidecar, "Failed", "of yesterday", 3)}, "the kubelet cannot start it: of yesterday"},
	} {
		if got := before.New(tt.events, "p"); got != tt.want {
			t.Errorf("%s: %q; want %q", name, got, tt.want)
		}
	}
}
