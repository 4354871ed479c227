package upgrade

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/bearerguard/bearerguard/controllers/inject"
)

// Complaints are what events said of a pod's sidecar, by event, and how often.
type Complaints map[types.UID]int32

// fatal are the reasons of events by which a kubelet says that it cannot start a container.
var fatal = []string{"Failed", "InspectFailed", "ErrImageNeverPull"}

// Complain collects the complaints of events. A kubelet shows why a sidecar that had ended well does not start again in events alone,
// not in the pod's status.
func Complain(all []corev1.Event, pod types.UID) Complaints {
	out := Complaints{}
	for i := range all {
		if e := &all[i]; e.InvolvedObject.UID == pod && e.InvolvedObject.FieldPath == "spec.initContainers{"+inject.SidecarName+"}" && slices.Contains(fatal, e.Reason) {
			out[e.UID] = max(e.Count, 1)
		}
	}
	return out
}

// New returns what events say that they did not say before; empty: nothing.
func (c Complaints) New(all []corev1.Event, pod types.UID) string {
	text := ""
	for uid, n := range Complain(all, pod) {
		for i := range all {
			// The longest tells most: another is "Error: ErrImagePull" alone.
			if e := &all[i]; e.UID == uid && n > c[uid] && len(e.Message) > len(text) {
				text = e.Message
			}
		}
	}
	if text == "" {
		return ""
	}
	return said("the kubelet cannot start it", text)
}
