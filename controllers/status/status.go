// Package status turns what is known of a policy into its status: pure, values in and values out.
//
// Conditions follow the Kubernetes API conventions: positive polarity, always all four, observedGeneration set, and
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
	Issuers []Issuer
	// Sidecars are the connected sidecars of the selected pods.
	Sidecars []Sidecar
	// Missing counts the selected pods without a sidecar.
	Missing int
	// Unheard counts the selected pods that were given a sidecar which is not connected.
	Unheard int
	// Settling says that this controller has led for so short a time that sidecars may be connected and not be known.
	Settling bool
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
}

// Sidecar is what is known of one connected sidecar.
type Sidecar struct {
	Pod string
	// Current says that this generation of the policy is in use.
	Current bool
	// Rejected is why the sidecar refused this generation or, if Current, something after it; empty if it did not.
	Rejected string
}

// refreshed is how far lastFetched may lie behind before that alone is worth a write.
const refreshed = time.Hour

// maxMessage bounds a condition's message, in bytes; the API takes 32 KiB.
const maxMessage = 4096

// Compute returns the status that fits the input.
func Compute(in Input) v1alpha1.AuthPolicyStatus {
	out := v1alpha1.AuthPolicyStatus{ObservedGeneration: in.Generation, Sidecars: count(in)}
	for _, i := range in.Issuers {
		out.Issuers = append(out.Issuers, issuer(i))
	}
	out.Conditions = append(out.Conditions, in.Previous.DeepCopy().Conditions...)
	ready := outcome{metav1.ConditionTrue, v1alpha1.ReasonReady, "the policy is accepted, its keys are there and every connected sidecar uses it"}
	for _, c := range []struct {
		kind string
		is   outcome
	}{
		{v1alpha1.ConditionAccepted, accepted(in)},
		{v1alpha1.ConditionResolvedRefs, resolved(in)},
		{v1alpha1.ConditionProgrammed, programmed(in)},
	} {
		set(&out.Conditions, c.kind, c.is, in)
		if c.is.status != metav1.ConditionTrue && ready.status == metav1.ConditionTrue {
			ready = c.is
		}
	}
	set(&out.Conditions, v1alpha1.ConditionReady, ready, in)
	return out
}

// outcome is a condition without its type and times.
type outcome struct {
	status          metav1.ConditionStatus
	reason, message string
}

func set(conditions *[]metav1.Condition, kind string, o outcome, in Input) {
	meta.SetStatusCondition(conditions, metav1.Condition{
		Type: kind, Status: o.status, Reason: o.reason, Message: clip(o.message),
		ObservedGeneration: in.Generation, LastTransitionTime: metav1.NewTime(in.Now),
	})
}

func accepted(in Input) outcome {
	if in.Problem != nil {
		return outcome{metav1.ConditionFalse, v1alpha1.ReasonInvalid, in.Problem.Error()}
	}
	return outcome{metav1.ConditionTrue, v1alpha1.ReasonAccepted, "the policy is valid"}
}

func resolved(in Input) outcome {
	failed, first := 0, Issuer{}
	for _, i := range in.Issuers {
		if i.Failure == "" {
			continue
		}
		if failed++; failed == 1 {
			first = i
		}
	}
	if failed > 0 {
		m := fmt.Sprintf("issuer %s: %s; %s", first.Name, first.Failure, stand(first))
		return outcome{metav1.ConditionFalse, v1alpha1.ReasonKeySourceFailed, m + more(failed-1, "issuer", "fails", "fail")}
	}
	return outcome{metav1.ConditionTrue, v1alpha1.ReasonResolved, "every issuer has its keys"}
}

// stand says what a failed source means for requests.
func stand(i Issuer) string {
	if i.Keys > 0 {
		return "the last good keys stay in use"
	}
	return "its tokens are answered 503 until there are keys"
}

func programmed(in Input) outcome {
	current, rejecting, first := 0, 0, Sidecar{}
	for _, s := range in.Sidecars {
		switch {
		case s.Current:
			current++
		case s.Rejected != "":
			if rejecting++; rejecting == 1 {
				first = s
			}
		}
	}
	total := len(in.Sidecars)
	switch {
	case in.Problem != nil:
		return outcome{metav1.ConditionFalse, v1alpha1.ReasonInvalid, "the policy is not accepted, so sidecars enforce a stand-in that allows nothing in its place"}
	case rejecting > 0:
		m := fmt.Sprintf("the sidecar of pod %s refused it: %s", first.Pod, first.Rejected)
		return outcome{metav1.ConditionFalse, v1alpha1.ReasonRejected, m + more(rejecting-1, "sidecar", "refuses it", "refuse it")}
	case current < total:
		return outcome{metav1.ConditionFalse, v1alpha1.ReasonPending, fmt.Sprintf("%d of %d connected sidecars use this generation", current, total)}
	case in.Settling && in.Unheard > 0:
		return settling(in)
	case total == 0:
		return outcome{metav1.ConditionTrue, v1alpha1.ReasonNoSidecars, "no connected sidecar is selected" + but(in)}
	}
	return outcome{metav1.ConditionTrue, v1alpha1.ReasonProgrammed, fmt.Sprintf("all %d connected sidecars use this generation", total) + but(in)}
}

// but says which sidecars may be behind all the same: those that are not heard of, and those that use this generation and
// have refused what came after it, such as other keys or revocations.
func but(in Input) string {
	text := ""
	if in.Unheard > 0 {
		text = fmt.Sprintf("; sidecars that are not connected and go on with what they have: %d", in.Unheard)
	}
	for _, s := range in.Sidecars {
		if s.Current && s.Rejected != "" {
			return text + fmt.Sprintf("; the sidecar of pod %s has refused newer keys, revocations or policies beside it: %s", s.Pod, s.Rejected)
		}
	}
	return text
}

// settling keeps what the leader before said of this generation until sidecars have had the time to be heard of.
func settling(in Input) outcome {
	c := meta.FindStatusCondition(in.Previous.Conditions, v1alpha1.ConditionProgrammed)
	if c != nil && c.ObservedGeneration == in.Generation {
		return outcome{c.Status, c.Reason, c.Message}
	}
	return outcome{metav1.ConditionFalse, v1alpha1.ReasonPending, fmt.Sprintf("%d sidecars have not been heard of yet", in.Unheard)}
}

func count(in Input) *v1alpha1.SidecarStatus {
	s := &v1alpha1.SidecarStatus{Total: int32(len(in.Sidecars)), Missing: int32(in.Missing)} //nolint:gosec // counts of pods
	for _, x := range in.Sidecars {
		switch {
		case x.Current:
			s.Current++
		case x.Rejected != "":
			s.Rejecting++
		}
	}
	s.Summary = fmt.Sprintf("%d/%d", s.Current, s.Total)
	return s
}

func issuer(i Issuer) v1alpha1.IssuerStatus {
	message := i.Failure
	if i.Note != "" {
		message = strings.TrimPrefix(message+"; "+i.Note, "; ")
	}
	s := v1alpha1.IssuerStatus{Name: i.Name, Keys: int32(i.Keys), Message: clip(message)} //nolint:gosec // at most keyset.MaxKeys
	if !i.Fetched.IsZero() {
		t := metav1.NewTime(i.Fetched).Rfc3339Copy()
		s.LastFetched = &t
	}
	return s
}

func more(n int, noun, one, many string) string {
	switch n {
	case 0:
		return ""
	case 1:
		return fmt.Sprintf(" (1 more %s %s)", noun, one)
	}
	return fmt.Sprintf(" (%d more %ss %s)", n, noun, many)
}

func clip(s string) string {
	if len(s) <= maxMessage {
		return s
	}
	const tail = " ..."
	cut := maxMessage - len(tail)
	for cut > 0 && s[cut]&0xC0 == 0x80 { // not in the middle of a character
		cut--
	}
	return s[:cut] + tail
}
