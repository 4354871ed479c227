package status

import (
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bearerguard/bearerguard/api/v1alpha1"
)

// first is the first of the parts that is False, else the first that is Unknown for another reason than spared, else otherwise.
func first(parts []condition, spared string, otherwise outcome) outcome {
	out := otherwise
	for _, c := range parts {
		switch {
		case c.is.status == metav1.ConditionFalse:
			return c.is
		case c.is.status == metav1.ConditionUnknown && c.is.reason != spared && out.status == metav1.ConditionTrue:
			out = c.is
		}
	}
	return out
}

// stall sets Stalled if nothing will come of waiting: somebody has to change the object, or what refuses it. Like all conditions that are of
// no good it is there while it is True alone, so that kstatus, by which GitOps tools tell failure from progress, reads it.
func stall(conditions *[]metav1.Condition, parts []condition, generation int64, now time.Time) {
	for _, c := range parts {
		accepted := c.kind == v1alpha1.ConditionAccepted && c.is.status == metav1.ConditionFalse
		if accepted || c.kind == v1alpha1.ConditionProgrammed && c.is.reason == v1alpha1.ReasonRejected {
			condition{v1alpha1.ConditionStalled, outcome{metav1.ConditionTrue, c.is.reason, c.is.message}}.set(conditions, generation, now)
			return
		}
	}
	meta.RemoveStatusCondition(conditions, v1alpha1.ConditionStalled)
}
