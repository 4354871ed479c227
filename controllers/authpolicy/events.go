package authpolicy

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"

	"github.com/bearerguard/bearerguard/api/v1alpha1"
)

// maxNote bounds an event's text, in bytes; the API takes 1 KiB.
const maxNote = 1000

// action is the action of every event: what the controller was doing.
const action = "Reconcile"

// recorder tells people of what goes wrong, once for each time that it begins or changes.
type recorder struct {
	events events.EventRecorder
}

// policy tells of conditions that are not True any more, or not for another cause, between two statuses.
func (r *recorder) policy(o *policyObject, previous, next v1alpha1.AuthPolicyStatus) {
	about := &v1alpha1.AuthPolicy{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "AuthPolicy"},
		ObjectMeta: metav1.ObjectMeta{Namespace: o.Namespace, Name: o.Name, UID: o.UID, ResourceVersion: o.ResourceVersion},
	}
	for _, is := range next.Conditions {
		was := meta.FindStatusCondition(previous.Conditions, is.Type)
		if wrong(is) && (was == nil || was.Status != is.Status || was.Reason != is.Reason || worse(is, *was, previous, next)) {
			r.warn(about, is.Reason, is.Message)
		}
	}
}

// wrong reports whether a condition is one to tell of: what is on its way is not, nor what another condition tells of.
func wrong(c metav1.Condition) bool {
	switch {
	case c.Type == v1alpha1.ConditionReady, c.Status == metav1.ConditionTrue:
		return false
	case c.Type == v1alpha1.ConditionProgrammed && c.Reason == v1alpha1.ReasonInvalid:
		return false
	}
	return c.Reason != v1alpha1.ReasonPending && c.Reason != v1alpha1.ReasonNoWorkload
}

// worse reports whether a condition that was not True before is so for more. Pods come and go one by one in a rollout, so those
// that are named are no news.
func worse(is, was metav1.Condition, previous, next v1alpha1.AuthPolicyStatus) bool {
	switch is.Reason {
	case v1alpha1.ReasonDisconnected:
		return false
	case v1alpha1.ReasonUnguarded:
		return previous.Sidecars != nil && next.Sidecars.Missing > previous.Sidecars.Missing
	}
	return is.Message != was.Message
}

// revocation tells of the same of a revocation. What keeps sidecars from it is told of the policies.
func (r *recorder) revocation(o *revocationObject, previous, next v1alpha1.TokenRevocationStatus) {
	was := meta.FindStatusCondition(previous.Conditions, v1alpha1.ConditionAccepted)
	is := meta.FindStatusCondition(next.Conditions, v1alpha1.ConditionAccepted)
	if is == nil || is.Status == metav1.ConditionTrue || was != nil && was.Status == is.Status && was.Message == is.Message {
		return
	}
	r.warn(&v1alpha1.TokenRevocation{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "TokenRevocation"},
		ObjectMeta: metav1.ObjectMeta{Namespace: o.Namespace, Name: o.Name, UID: o.UID, ResourceVersion: o.ResourceVersion},
	}, is.Reason, is.Message)
}

func (r *recorder) warn(about runtime.Object, reason, text string) {
	if len(text) > maxNote {
		text = text[:maxNote-4] + " ..."
	}
	r.events.Eventf(about, nil, corev1.EventTypeWarning, reason, action, "%s", text)
}
