package status

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bearerguard/bearerguard/api/v1alpha1"
)

// Revocation is what is known of one generation of a TokenRevocation.
type Revocation struct {
	Generation int64
	Now        time.Time
	// Problem says what is wrong with it; nil if nothing is.
	Problem error
	// Entries is how many entries are in force.
	Entries int
	// Pods are the live pods of the namespace that carry a sidecar.
	Pods Tally
	// Previous is the status as it stands.
	Previous v1alpha1.TokenRevocationStatus
}

// ComputeRevocation returns the status that fits what is known.
func ComputeRevocation(in Revocation) v1alpha1.TokenRevocationStatus {
	var was *v1alpha1.SidecarStatus
	if in.Previous.ObservedGeneration == in.Generation {
		was = in.Previous.Sidecars
	}
	out := v1alpha1.TokenRevocationStatus{
		ObservedGeneration: in.Generation, Sidecars: in.Pods.counted(was),
		Entries: int32(in.Entries), //nolint:gosec // at most what an object holds
	}
	out.Conditions = append(out.Conditions, in.Previous.DeepCopy().Conditions...)
	parts := []condition{
		{v1alpha1.ConditionAccepted, accepted(in.Problem, "revocation")},
		{v1alpha1.ConditionProgrammed, in.programmed()},
	}
	ready := outcome{metav1.ConditionTrue, v1alpha1.ReasonReady, "the revocation is accepted, and every sidecar of the namespace uses it"}
	for _, c := range append(parts, condition{v1alpha1.ConditionReady, first(parts, "", ready)}) {
		c.set(&out.Conditions, in.Generation, in.Now)
	}
	stall(&out.Conditions, parts, in.Generation, in.Now)
	return out
}

// noCarrier is what to say of a namespace without sidecars.
const noCarrier = "no live pod of the namespace carries a sidecar"

func (in Revocation) programmed() outcome {
	if in.Problem != nil {
		return outcome{metav1.ConditionFalse, v1alpha1.ReasonInvalid, "the revocation is not accepted as written; sidecars use what can be used of it"}
	}
	return reach{generation: in.Generation, pods: in.Pods, previous: in.Previous.Conditions, what: thisGeneration, none: noCarrier}.programmed()
}
