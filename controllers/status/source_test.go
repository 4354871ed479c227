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

func TestSources(t *testing.T) {
	t.Parallel()
	at := time.Unix(1_800_000_000, 0)
	broken := errors.New("it is broken")
	for name, tc := range map[string]struct {
		in                            status.Source
		accepted, resolved, connected string
	}{
		"that nobody has used yet":       {status.Source{Keys: 1}, "True Accepted", "True Resolved", "Unknown NoEventYet"},
		"with an event":                  {status.Source{Keys: 1, LastEvent: at}, "True Accepted", "True Resolved", "True EventReceived"},
		"with an event of long ago":      {status.Source{Keys: 1, LastEvent: at.Add(-48 * time.Hour)}, "True Accepted", "True Resolved", "True EventReceived"},
		"that is invalid":                {status.Source{Problem: broken, Reason: v1alpha1.ReasonInvalid}, "False Invalid", "Unknown Invalid", "False NotConnected"},
		"without a port":                 {status.Source{Keys: 1, Problem: broken, Reason: v1alpha1.ReasonReceiverDisabled}, "False ReceiverDisabled", "True Resolved", "False NotConnected"},
		"whose keys are being read":      {status.Source{}, "True Accepted", "Unknown Pending", "Unknown NoEventYet"},
		"whose keys cannot be read":      {status.Source{KeysErr: broken}, "True Accepted", "False KeySourceFailed", "False NotConnected"},
		"whose keys could be read once":  {status.Source{Keys: 1, KeysErr: broken, LastEvent: at}, "True Accepted", "False KeySourceFailed", "True EventReceived"},
		"of a full namespace":            {status.Source{Keys: 1, Full: true, LastEvent: at}, "True Accepted", "True Resolved", "False NoRoom"},
		"that is polled":                 {status.Source{Keys: 1, Fetched: at}, "True Accepted", "True Resolved", "True EventReceived"},
		"that cannot be polled":          {status.Source{Keys: 1, Fetched: at, LastEvent: at, StreamErr: broken}, "True Accepted", "True Resolved", "False NotConnected"},
		"that was asked a moment ago":    {status.Source{Keys: 1, Asked: at.Add(-10 * time.Second)}, "True Accepted", "True Resolved", "Unknown NoEventYet"},
		"that does not answer":           {status.Source{Keys: 1, Asked: at.Add(-3 * time.Minute), LastEvent: at.Add(-time.Hour)}, "True Accepted", "True Resolved", "False NotConnected"},
		"that has answered":              {status.Source{Keys: 1, Asked: at.Add(-3 * time.Minute), LastEvent: at.Add(-3 * time.Minute)}, "True Accepted", "True Resolved", "True EventReceived"},
		"that had an event just before":  {status.Source{Keys: 1, Asked: at.Add(-3 * time.Minute), LastEvent: at.Add(-200 * time.Second)}, "True Accepted", "True Resolved", "True EventReceived"},
		"whose chunks have been emptied": {status.Source{Keys: 1, Previous: v1alpha1.RevocationSourceStatus{LastEvent: &metav1.Time{Time: at}}}, "True Accepted", "True Resolved", "True EventReceived"},
	} {
		tc.in.Now = at
		got := status.ComputeSource(tc.in)
		for kind, want := range map[string]string{
			v1alpha1.ConditionAccepted: tc.accepted, v1alpha1.ConditionResolvedRefs: tc.resolved, v1alpha1.ConditionConnected: tc.connected,
		} {
			c := meta.FindStatusCondition(got.Conditions, kind)
			if c == nil || string(c.Status)+" "+c.Reason != want {
				t.Errorf("a source %s: %s is %+v, want %s", name, kind, c, want)
			}
		}
	}
}

func TestASourceIsNotWrittenForEachEvent(t *testing.T) {
	t.Parallel()
	at := time.Unix(1_800_000_000, 0)
	of := func(entries int, last time.Time) v1alpha1.RevocationSourceStatus {
		return status.ComputeSource(status.Source{Now: at, Keys: 1, Entries: entries, LastEvent: last})
	}
	if status.SourceChanged(of(1, at), of(1, at.Add(time.Second))) {
		t.Error("is written for the time of the last event alone")
	}
	if !status.SourceChanged(of(1, at), of(2, at.Add(time.Second))) || !status.SourceChanged(of(1, at), of(1, at.Add(2*time.Minute))) {
		t.Error("is not written")
	}
}
