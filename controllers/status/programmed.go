package status

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bearerguard/bearerguard/api/v1alpha1"
)

// reach is how far one generation of an object has got.
type reach struct {
	generation int64
	pods       Tally
	// previous are the conditions as they stand.
	previous []metav1.Condition
	// what is what they are to use: "this generation".
	what string
	// none is what to say if no pod counts.
	none string
	// changed says that what was said of this generation is no longer about the same.
	changed bool
}

const thisGeneration = "this generation"

// programmed says whether every sidecar that there is uses the generation: False if one is known not to, Unknown if it is not
// known of one.
func (r reach) programmed() outcome {
	t := r.pods
	switch {
	case t.counts[rejecting] > 0:
		m := fmt.Sprintf("the sidecar of pod %s refused it: %s", t.refused.Name, t.refused.Rejected)
		return outcome{metav1.ConditionFalse, v1alpha1.ReasonRejected, m + more(t.counts[rejecting]-1, "sidecar", "refuses it", "refuse it")}
	case t.counts[pending] > 0:
		m := of(t.counts[current], t.carrying(), "sidecar", "uses", "use") + " " + r.what + "; still to come: " + t.list(pending)
		return outcome{metav1.ConditionFalse, v1alpha1.ReasonPending, m + apart(t)}
	case t.counts[disconnected] > 0:
		m := of(t.counts[disconnected], t.carrying(), "sidecar", "is", "are") +
			" out of touch with the controller, so it is not known what is enforced there: " + t.list(disconnected)
		return outcome{metav1.ConditionUnknown, v1alpha1.ReasonDisconnected, m + elsewhere(t) + behind(t)}
	case t.counts[unheard] > 0:
		return r.settling()
	case t.total == 0:
		return outcome{metav1.ConditionTrue, v1alpha1.ReasonNoWorkload, r.none + ", so there is no sidecar to wait for"}
	case t.carrying() == 0:
		return outcome{metav1.ConditionTrue, v1alpha1.ReasonNoSidecars, "no selected pod carries a sidecar, so there is none to wait for"}
	}
	return outcome{metav1.ConditionTrue, v1alpha1.ReasonProgrammed, all(t.carrying(), "sidecar") + uses(t.carrying()) + r.what + behind(t)}
}

func uses(n int) string {
	if n == 1 {
		return " uses "
	}
	return " use "
}

// apart tells of sidecars that are out of touch where something else is wrong, too.
func apart(t Tally) string {
	if t.counts[disconnected] == 0 {
		return ""
	}
	return "; out of touch with the controller: " + t.list(disconnected) + elsewhere(t)
}

// elsewhere tells of sidecars that are out of touch since the namespace has come from another release.
func elsewhere(t Tally) string {
	if t.away == 0 {
		return ""
	}
	return "; injected by another release of the controller, which serves them until they are restarted: " + list(t.others, t.away)
}

// behind tells of a sidecar that uses this generation and has refused what came after it, such as other keys or revocations.
func behind(t Tally) string {
	if t.behind.Name == "" {
		return ""
	}
	return fmt.Sprintf("; the sidecar of pod %s has refused newer keys, revocations or policies beside it: %s", t.behind.Name, t.behind.Rejected)
}

// settling keeps what the leader before said of this generation until sidecars have had the time to be heard of.
func (r reach) settling() outcome {
	c := meta.FindStatusCondition(r.previous, v1alpha1.ConditionProgrammed)
	if c != nil && !r.changed && c.ObservedGeneration == r.generation && c.Reason != v1alpha1.ReasonNoWorkload && c.Reason != v1alpha1.ReasonNoSidecars {
		return outcome{c.Status, c.Reason, c.Message}
	}
	return outcome{metav1.ConditionFalse, v1alpha1.ReasonPending, "not heard of yet by this replica of the controller: " + r.pods.list(unheard)}
}
