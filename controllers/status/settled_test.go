package status_test

import (
	"errors"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/controllers/status"
)

// Ready says whether all is well, and Stalled whether waiting will do: it is there only while it will not.
func TestReadyAndStalled(t *testing.T) {
	t.Parallel()
	broken := errors.New("it is broken")
	policy := func(problem error, pods ...status.Pod) []metav1.Condition {
		s, _ := status.Compute(status.Input{Now: start, Elected: start.Add(-time.Hour), Problem: problem, Pods: pods})
		return s.Conditions
	}
	tally := func(pods ...status.Pod) status.Tally { return status.Count(pods, start, start.Add(-time.Hour)) }
	revocation := func(problem error, pods ...status.Pod) []metav1.Condition {
		return status.ComputeRevocation(status.Revocation{Now: start, Problem: problem, Pods: tally(pods...)}).Conditions
	}
	source := func(in status.Source) []metav1.Condition {
		in.Now = start
		return status.ComputeSource(in).Conditions
	}
	reached := &status.Reached{Pods: tally(current)}
	for name, tc := range map[string]struct {
		conditions []metav1.Condition
		want       string // of Ready, and Stalled
	}{
		"a policy in force":                         {policy(nil, current), "True Ready, not Stalled"},
		"a policy on its way":                       {policy(nil, behind), "False Pending, not Stalled"},
		"a policy that is wrong":                    {policy(broken, current), "False Invalid, Stalled Invalid"},
		"a policy that a sidecar refused":           {policy(nil, refusing), "False Rejected, Stalled Rejected"},
		"a policy with a bare pod":                  {policy(nil, bare), "False Unguarded, not Stalled"},
		"a revocation in force":                     {revocation(nil, current), "True Ready, not Stalled"},
		"a revocation of a namespace without pods":  {revocation(nil), "True Ready, not Stalled"},
		"a revocation on its way":                   {revocation(nil, behind), "False Pending, not Stalled"},
		"a revocation that is wrong":                {revocation(broken, current), "False Invalid, Stalled Invalid"},
		"a source that waits for its first event":   {source(status.Source{Keys: 1, Reached: reached}), "True Ready, not Stalled"},
		"a source with events":                      {source(status.Source{Keys: 1, Reached: reached, LastEvent: start}), "True Ready, not Stalled"},
		"a source whose keys are being read":        {source(status.Source{Reached: reached}), "Unknown Pending, not Stalled"},
		"a source whose keys cannot be read":        {source(status.Source{KeysErr: broken, Reached: reached}), "False KeySourceFailed, not Stalled"},
		"a source of which sidecars are not known":  {source(status.Source{Keys: 1}), "Unknown Pending, not Stalled"},
		"a source without a port":                   {source(status.Source{Keys: 1, Problem: broken, Reason: v1alpha1.ReasonReceiverDisabled, Reached: reached}), "False ReceiverDisabled, Stalled ReceiverDisabled"},
		"a source in a namespace that has no room":  {source(status.Source{Keys: 1, Full: true, Reached: reached}), "False NoRoom, not Stalled"},
		"a source whose provider cannot be reached": {source(status.Source{Keys: 1, StreamErr: broken, Reached: reached}), "False NotConnected, not Stalled"},
	} {
		got := "no Ready"
		if c := meta.FindStatusCondition(tc.conditions, v1alpha1.ConditionReady); c != nil {
			got = string(c.Status) + " " + c.Reason
		}
		if c := meta.FindStatusCondition(tc.conditions, v1alpha1.ConditionStalled); c == nil {
			got += ", not Stalled"
		} else if c.Status == metav1.ConditionTrue {
			got += ", Stalled " + c.Reason
		}
		if got != tc.want {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
}

func TestStalledGoesWhenItIsMended(t *testing.T) {
	t.Parallel()
	was, _ := status.Compute(status.Input{Generation: 1, Now: start, Problem: errors.New("it is broken")})
	next, _ := status.Compute(status.Input{Generation: 2, Now: start, Previous: was})
	if c := meta.FindStatusCondition(next.Conditions, v1alpha1.ConditionStalled); c != nil {
		t.Errorf("there is still %+v", c)
	}
}
