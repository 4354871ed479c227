// Package status turns what is known of a policy or a revocation into its status: pure, values in and values out.
//
// Conditions follow the Kubernetes API conventions: positive polarity, always all of them, observedGeneration set, and
// lastTransitionTime kept unless the status flips.
package status

import (
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bearerguard/bearerguard/api/v1alpha1"
)

// Input is what is known of one generation of a policy.
type Input struct {
	Generation int64
	Now        time.Time
	// Problem says why the policy is not in force as written; nil if it is.
	Problem error
	// Note is what the next release will refuse of it, or what is of no use in it; empty: nothing.
	Note    string
	Issuers []Issuer
	// Pods are the live pods that the policy selects, sorted by name.
	Pods []Pod
	// Unfenced says why NetworkPolicies that the policy asks for are not there; empty: they are, or it asks for none.
	Unfenced string
	// Elected is since when this controller leads: sidecars of older pods may be connected for a while and not be known to it.
	Elected time.Time
	// Previous is the status as it stands.
	Previous v1alpha1.AuthPolicyStatus
}

// Issuer is what is known of one issuer's keys.
type Issuer struct {
	Name string
	// Keys is the number of usable keys.
	Keys int
	// Fetched is when they were last read with success; zero if never.
	Fetched time.Time
	// Failure says why a key source cannot be read; empty if it can.
	Failure string
	// Note says what else is odd, such as keys that were left out.
	Note string
	// Without are the pods whose sidecars say that they have no keys of the issuer.
	Without []string
}

// wrong says what is wrong with the keys; empty if nothing is.
func (i Issuer) wrong() string {
	n := len(i.Without)
	if n == 0 || i.Keys == 0 && i.Failure != "" { // of no keys nobody has any
		return i.Failure
	}
	lack := "1 sidecar has no keys: "
	if n > 1 {
		lack = fmt.Sprintf("%d sidecars have no keys: ", n)
	}
	lack += list(i.Without[:min(n, maxNames)], n)
	return strings.TrimPrefix(i.Failure+"; "+lack, "; ")
}

// refreshed is how far lastFetched may lie behind before that alone is worth a write.
const refreshed = time.Hour

// Compute returns the status that fits the input, and when it changes by time alone; zero: never.
func Compute(in Input) (v1alpha1.AuthPolicyStatus, time.Time) {
	pods := Count(in.Pods, in.Now, in.Elected)
	out := v1alpha1.AuthPolicyStatus{ObservedGeneration: in.Generation, Sidecars: pods.counted(in.was())}
	for _, i := range in.Issuers {
		out.Issuers = append(out.Issuers, issuer(i))
	}
	out.Conditions = append(out.Conditions, in.Previous.DeepCopy().Conditions...)
	parts := []condition{
		{v1alpha1.ConditionAccepted, accepted(in.Problem, "policy").but(in.Note)},
		{v1alpha1.ConditionResolvedRefs, resolved(in)},
		{v1alpha1.ConditionProgrammed, programmed(in, pods)},
		{v1alpha1.ConditionGuarded, guarded(pods, in.Unfenced)},
	}
	condition{v1alpha1.ConditionSaved, saved(pods)}.set(&out.Conditions, in.Generation, in.Now) // no part of Ready: the guard holds
	for _, c := range append(parts, condition{v1alpha1.ConditionReady, ready(parts, pods)}) {
		c.set(&out.Conditions, in.Generation, in.Now)
	}
	stall(&out.Conditions, parts, in.Generation, in.Now)
	return out, pods.next
}

// was is what the leader before counted of this generation, or nil.
func (in Input) was() *v1alpha1.SidecarStatus {
	if in.Previous.ObservedGeneration != in.Generation {
		return nil
	}
	return in.Previous.Sidecars
}

// outcome is a condition without its type and times.
type outcome struct {
	status          metav1.ConditionStatus
	reason, message string
}

// condition is one without its times.
type condition struct {
	kind string
	is   outcome
}

func (c condition) set(conditions *[]metav1.Condition, generation int64, now time.Time) {
	meta.SetStatusCondition(conditions, metav1.Condition{
		Type: c.kind, Status: c.is.status, Reason: c.is.reason, Message: clip(c.is.message),
		ObservedGeneration: generation, LastTransitionTime: metav1.NewTime(now),
	})
}

func accepted(problem error, noun string) outcome {
	if problem != nil {
		return outcome{metav1.ConditionFalse, v1alpha1.ReasonInvalid, problem.Error()}
	}
	return outcome{metav1.ConditionTrue, v1alpha1.ReasonAccepted, "the " + noun + " is valid"}
}

// but adds a note to what is True.
func (o outcome) but(note string) outcome {
	if note != "" && o.status == metav1.ConditionTrue {
		o.message += "; " + note
	}
	return o
}

func resolved(in Input) outcome {
	failed, first := 0, Issuer{}
	for _, i := range in.Issuers {
		if i.wrong() == "" {
			continue
		}
		if failed++; failed == 1 {
			first = i
		}
	}
	if failed > 0 {
		m := fmt.Sprintf("issuer %s: %s; %s", first.Name, first.wrong(), stand(first))
		return outcome{metav1.ConditionFalse, v1alpha1.ReasonKeySourceFailed, m + more(failed-1, "issuer", "fails", "fail")}
	}
	return outcome{metav1.ConditionTrue, v1alpha1.ReasonResolved, "every issuer has its keys"}
}

// stand says what a failed source means for requests.
func stand(i Issuer) string {
	switch {
	case i.Keys > 0 && len(i.Without) > 0:
		return "there its tokens are answered 503"
	case i.Keys > 0:
		return "the last good keys stay in use"
	}
	return "its tokens are answered 503 until there are keys"
}

func programmed(in Input, pods Tally) outcome {
	if in.Problem != nil {
		return outcome{metav1.ConditionFalse, v1alpha1.ReasonInvalid, "the policy is not accepted, so sidecars enforce a stand-in that allows nothing in its place"}
	}
	return reach{generation: in.Generation, pods: pods, previous: in.Previous.Conditions, what: thisGeneration, none: "the selector matches no live pod"}.programmed()
}

// guarded says whether every selected pod carries a sidecar. Of none nothing can be said: that would be True of any selector
// with a mistake in it.
func guarded(t Tally, unfenced string) outcome {
	switch {
	case t.total == 0:
		return outcome{metav1.ConditionUnknown, v1alpha1.ReasonNoWorkload, "the selector matches no live pod"}
	case t.counts[bare] > 0:
		m := of(t.counts[bare], t.total, "selected pod", "runs", "run") + " without a sidecar, so nothing guards them: " + t.list(bare)
		return outcome{metav1.ConditionFalse, v1alpha1.ReasonUnguarded, m}
	}
	if t.passed > 0 {
		m := of(t.passed, t.total, "selected pod", "is", "are") + " open to others past the sidecar; have the app listen on 127.0.0.1 alone, or close the port by a " +
			"NetworkPolicy: pod " + t.open.Name + ", port " + t.open.Open
		return outcome{metav1.ConditionFalse, v1alpha1.ReasonBypassable, m + more(t.passed-1, "pod", "is", "are") + opened(t.open) + fence(unfenced)}
	}
	return outcome{metav1.ConditionTrue, v1alpha1.ReasonGuarded, all(t.total, "selected pod") + carries(t.total) + fenced(t) + fence(unfenced) + foreign(t)}
}

// opened names the NetworkPolicy that lets others in past the sidecar.
func opened(p Pod) string {
	if p.Opener == "" {
		return ""
	}
	return "; NetworkPolicy " + p.Opener + " lets others in there"
}

// fenced tells of pods that only the cluster's network closes.
func fenced(t Tally) string {
	if t.closed == 0 {
		return ""
	}
	return "; the ports past the sidecar of " + of(t.closed, t.total, "pod", "are", "are") + " closed by NetworkPolicies, if the cluster's network enforces them"
}

func fence(unfenced string) string {
	if unfenced == "" {
		return ""
	}
	return "; networkPolicy: " + unfenced
}

// saved says whether sidecars could save what they use.
func saved(t Tally) outcome {
	if t.unsaved > 0 {
		m := of(t.unsaved, t.carrying(), "sidecar", "could", "could") + " not save what is in use, so that a restart while the controller is away would " +
			"begin with something older, or without rules: " + list(t.loses, t.unsaved)
		return outcome{metav1.ConditionFalse, v1alpha1.ReasonNotSaved, m}
	}
	return outcome{metav1.ConditionTrue, v1alpha1.ReasonSaved, "no sidecar says that it could not save what it uses for a restart"}
}

// foreign tells of a port on which another protocol than HTTP is spoken.
func foreign(t Tally) string {
	if t.foreign.Name == "" {
		return ""
	}
	return fmt.Sprintf("; clients of pod %s speak something else than HTTP on guarded ports: %s; list such a port in bearerguard.dev/exclude-ports, or "+
		"for TLS give the sidecar a certificate by bearerguard.dev/tls-cert", t.foreign.Name, t.foreign.Foreign)
}

func carries(n int) string {
	if n == 1 {
		return " carries a sidecar"
	}
	return " carry a sidecar"
}

// ready is the first of the conditions that is False, else the first that is Unknown, but that a policy may come before its pods.
func ready(parts []condition, pods Tally) outcome {
	out := outcome{metav1.ConditionTrue, v1alpha1.ReasonReady, "the policy is accepted, its keys are there, every selected pod carries a sidecar, and all of these use it"}
	if pods.total == 0 {
		out = outcome{
			metav1.ConditionTrue, v1alpha1.ReasonNoWorkload,
			"the policy is accepted and its keys are there, but its selector matches no live pod: it guards nothing yet",
		}
	}
	return first(parts, v1alpha1.ReasonNoWorkload, out)
}

func issuer(i Issuer) v1alpha1.IssuerStatus {
	message := i.wrong()
	if i.Note != "" {
		message = strings.TrimPrefix(message+"; "+i.Note, "; ")
	}
	s := v1alpha1.IssuerStatus{Name: i.Name, Keys: int32(i.Keys), State: i.state(), PodsWithoutKeys: int32(len(i.Without)), Message: clip(message)} //nolint:gosec // have bounds
	if !i.Fetched.IsZero() {
		t := metav1.NewTime(i.Fetched).Rfc3339Copy()
		s.LastFetched = &t
	}
	return s
}

func (i Issuer) state() v1alpha1.KeyState {
	switch {
	case i.Keys == 0:
		return v1alpha1.KeysMissing
	case i.Failure != "":
		return v1alpha1.KeysStale
	}
	return v1alpha1.KeysCurrent
}
