package status

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bearerguard/bearerguard/api/v1alpha1"
)

// eventsRefreshed is how much later the last event has to be for that alone to be worth a write.
const eventsRefreshed = time.Minute

// answerWithin is how long a transmitter has to send the event that it was asked for.
const answerWithin = time.Minute

// Source is what is known of one generation of a RevocationSource.
type Source struct {
	Generation int64
	Now        time.Time
	// Problem says what is wrong with it, and Reason is that of the condition; nil if nothing is.
	Problem error
	Reason  string
	// Endpoint is the path that the provider posts to; empty: there is none.
	Endpoint string
	// Keys is how many keys of the issuer there are, and KeysErr why they cannot be read anew; nil: they can.
	Keys    int
	KeysErr error
	// Entries is how many entries are kept, and LastEvent when the newest event came that is known; zero: none has.
	Entries   int
	LastEvent time.Time
	// Reached is how far just these entries have got; nil: it is not known yet.
	Reached *Reached
	// Full says that the namespace has no room for more.
	Full bool
	// StreamErr says why nothing can be had of the transmitter, Fetched is when events were fetched last, if they are, and Asked when the transmitter
	// was asked last to verify the stream; zero: never.
	StreamErr      error
	Fetched, Asked time.Time
	// Previous is the status as it stands.
	Previous v1alpha1.RevocationSourceStatus
}

// Reached is how far the entries of a source have got.
type Reached struct {
	// Entries are those that are meant, and LastEvent is when the newest event of them came; zero: none has.
	Entries   int
	LastEvent time.Time
	// Problem says why sidecars are not given all of them; nil: they are.
	Problem error
	// Pods are the live pods of the namespace that carry a sidecar. Current are those that use all that sidecars are given.
	Pods Tally
}

// ComputeSource returns the status that fits what is known.
func ComputeSource(in Source) v1alpha1.RevocationSourceStatus {
	out := v1alpha1.RevocationSourceStatus{
		ObservedGeneration: in.Generation, Endpoint: in.Endpoint,
		Entries: int32(in.Entries), //nolint:gosec // at most what a namespace holds
	}
	if out.LastEvent = in.Previous.LastEvent; out.LastEvent == nil || in.LastEvent.After(out.LastEvent.Time) {
		if !in.LastEvent.IsZero() {
			out.LastEvent = &metav1.Time{Time: in.LastEvent.Truncate(time.Second)}
		}
	}
	if in.Reached != nil {
		var was *v1alpha1.SidecarStatus
		if !in.moved() {
			was = in.Previous.Sidecars
		}
		out.Sidecars = in.Reached.Pods.counted(was)
	}
	out.Conditions = append(out.Conditions, in.Previous.DeepCopy().Conditions...)
	is := outcome{metav1.ConditionTrue, v1alpha1.ReasonAccepted, "the source is valid"}
	if in.Problem != nil {
		is = outcome{metav1.ConditionFalse, in.Reason, in.Problem.Error()}
	}
	parts := []condition{
		{v1alpha1.ConditionAccepted, is},
		{v1alpha1.ConditionResolvedRefs, in.resolved()},
		{v1alpha1.ConditionConnected, in.connected(out.LastEvent)},
		{v1alpha1.ConditionProgrammed, in.programmed()},
	}
	// Whether events can come is not known before one has, and that may take as long as nobody logs out.
	ready := outcome{metav1.ConditionTrue, v1alpha1.ReasonReady, "the source is accepted, its keys are there, and every sidecar of the namespace has what it took back"}
	for _, c := range append(parts, condition{v1alpha1.ConditionReady, first(parts, v1alpha1.ReasonNoEventYet, ready)}) {
		c.set(&out.Conditions, in.Generation, in.Now)
	}
	stall(&out.Conditions, parts, in.Generation, in.Now)
	return out
}

func (in Source) resolved() outcome {
	switch {
	case in.Problem != nil && in.Reason == v1alpha1.ReasonInvalid:
		return outcome{metav1.ConditionUnknown, v1alpha1.ReasonInvalid, "the source is not accepted as written"}
	case in.KeysErr != nil && in.Keys > 0:
		return outcome{metav1.ConditionFalse, v1alpha1.ReasonKeySourceFailed, fmt.Sprintf("the last good keys are used: %v", in.KeysErr)}
	case in.KeysErr != nil:
		return outcome{metav1.ConditionFalse, v1alpha1.ReasonKeySourceFailed, fmt.Sprintf("events cannot be verified: %v", in.KeysErr)}
	case in.Keys == 0:
		return outcome{metav1.ConditionUnknown, v1alpha1.ReasonPending, "the keys of the issuer are being read"}
	}
	return outcome{metav1.ConditionTrue, v1alpha1.ReasonResolved, "the keys of the issuer are read"}
}

func (in Source) connected(last *metav1.Time) outcome {
	switch {
	case in.Problem != nil:
		return outcome{metav1.ConditionFalse, v1alpha1.ReasonNotConnected, "the source is not served; Accepted says why"}
	case in.Full:
		return outcome{metav1.ConditionFalse, v1alpha1.ReasonNoRoom, "the namespace has no room for more entries, so events are refused and to be sent again; " +
			"take out TokenRevocations that are no longer needed, or shorten tokenLifetime"}
	case in.Keys == 0 && in.KeysErr != nil:
		return outcome{metav1.ConditionFalse, v1alpha1.ReasonNotConnected, "events cannot be verified; ResolvedRefs says why"}
	case in.StreamErr != nil:
		return outcome{metav1.ConditionFalse, v1alpha1.ReasonNotConnected, in.StreamErr.Error()}
	case !in.Fetched.IsZero():
		return outcome{metav1.ConditionTrue, v1alpha1.ReasonEventReceived, "events can be fetched"}
	case in.unanswered(last):
		return outcome{metav1.ConditionFalse, v1alpha1.ReasonNotConnected, "the transmitter was asked for an event, and none has come; is the endpoint " +
			"of its stream ours, can it be reached from there, and is what it shows the entry received of the Secret?"}
	case last == nil:
		return outcome{metav1.ConditionUnknown, v1alpha1.ReasonNoEventYet, "no event has come yet; log out at the provider to see whether one does"}
	}
	return outcome{metav1.ConditionTrue, v1alpha1.ReasonEventReceived, "events come"}
}

// unanswered reports whether the transmitter was asked for an event that should have come by now.
func (in Source) unanswered(last *metav1.Time) bool {
	return !in.Asked.IsZero() && in.Now.Sub(in.Asked) > answerWithin && (last == nil || last.Before(&metav1.Time{Time: in.Asked.Add(-answerWithin)}))
}

// programmed says whether every sidecar has the entries that the status counts: of what comes later nothing is said.
func (in Source) programmed() outcome {
	switch r := in.Reached; {
	case r == nil:
		return outcome{metav1.ConditionUnknown, v1alpha1.ReasonPending, "the sidecars of the namespace are not known yet to this replica of the controller"}
	case r.Entries == 0:
		return outcome{metav1.ConditionTrue, v1alpha1.ReasonProgrammed, "nothing is taken back, so there is nothing to wait for"}
	case r.Problem != nil:
		return outcome{metav1.ConditionFalse, v1alpha1.ReasonNoRoom, "sidecars do not have all entries: " + r.Problem.Error()}
	}
	what := fmt.Sprintf("its %d entries", in.Entries)
	if in.Entries == 1 {
		what = "its entry"
	}
	return reach{
		generation: in.Generation, pods: in.Reached.Pods, previous: in.Previous.Conditions, what: what, none: noCarrier, changed: in.moved(),
	}.programmed()
}

// moved reports whether entries are others than those of the status as it stands, or may be.
func (in Source) moved() bool {
	was := in.Previous
	return was.ObservedGeneration != in.Generation || int(was.Entries) != in.Entries || was.LastEvent == nil || was.LastEvent.Before(&metav1.Time{Time: in.LastEvent.Truncate(time.Second)})
}

// SourceChanged reports whether next is worth a write.
func SourceChanged(previous, next v1alpha1.RevocationSourceStatus) bool {
	if a, b := previous.LastEvent, next.LastEvent; a != nil && b != nil && b.Sub(a.Time) < eventsRefreshed {
		previous.LastEvent = b
	}
	return !equality.Semantic.DeepEqual(previous, next)
}
