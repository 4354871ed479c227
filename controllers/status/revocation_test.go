package status_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/controllers/status"
)

func TestConditionsOfARevocation(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		problem error
		pods    []status.Pod
		want    string
		says    string // the message of Programmed
	}{
		"every sidecar uses it": {nil, []status.Pod{current, current}, "True/Accepted True/Programmed 2/2", "all 2 sidecars use this generation"},
		"one does not yet":      {nil, []status.Pod{current, behind}, "True/Accepted False/Pending 1/2", "1 of 2 sidecars uses this generation; still to come: b"},
		"one is out of touch": {
			nil, []status.Pod{current, lost(time.Hour)}, "True/Accepted Unknown/Disconnected 1/2",
			"1 of 2 sidecars is out of touch with the controller, so it is not known what is enforced there: l",
		},
		"there is no sidecar": {nil, nil, "True/Accepted True/NoWorkload 0/0", "no live pod of the namespace carries a sidecar, so there is no sidecar to wait for"},
		"an entry is wrong": {
			errors.New("spec.entries[1]: bad"), []status.Pod{current}, "False/Invalid False/Invalid 1/1",
			"the revocation is not accepted as written; sidecars use what can be used of it",
		},
	}
	for name, c := range cases {
		got := status.ComputeRevocation(status.Revocation{
			Generation: 3, Now: start, Problem: c.problem, Entries: 7, Pods: status.Count(c.pods, start, time.Time{}),
		})
		accepted, programmed := meta.FindStatusCondition(got.Conditions, "Accepted"), meta.FindStatusCondition(got.Conditions, "Programmed")
		said := string(accepted.Status) + "/" + accepted.Reason + " " + string(programmed.Status) + "/" + programmed.Reason + " " + got.Sidecars.Summary
		if d := cmp.Diff([]string{c.want, c.says}, []string{said, programmed.Message}); d != "" {
			t.Errorf("%s: %s", name, d)
		}
		if got.Entries != 7 || got.ObservedGeneration != 3 || programmed.ObservedGeneration != 3 {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestANewLeaderKeepsWhatWasSaidOfARevocation(t *testing.T) {
	t.Parallel()
	was := status.ComputeRevocation(status.Revocation{Generation: 1, Now: start, Pods: status.Count([]status.Pod{current, current}, start, time.Time{})})
	next := func(generation int64) v1alpha1.TokenRevocationStatus {
		return status.ComputeRevocation(status.Revocation{
			Generation: generation, Now: start.Add(time.Minute), Previous: was, Pods: status.Count([]status.Pod{unheard, current}, start, start),
		})
	}
	if got := next(1); status.RevocationChanged(was, got) {
		t.Errorf("changed: %s", cmp.Diff(was, got))
	}
	if got := next(2); !meta.IsStatusConditionFalse(got.Conditions, "Programmed") || got.Sidecars.Summary != "1/2" {
		t.Errorf("another generation has %+v", got)
	}
}
