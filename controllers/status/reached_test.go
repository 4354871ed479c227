package status_test

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/controllers/status"
)

// reachedBy is a source of some entries, and the pods of its namespace.
func reachedBy(entries int, last time.Time, pods ...status.Pod) status.Source {
	r := &status.Reached{Entries: entries, LastEvent: last, Pods: status.Count(pods, start, start.Add(-time.Hour))}
	return status.Source{Generation: 1, Now: start, Keys: 1, Entries: entries, LastEvent: last, Reached: r}
}

func TestHowFarASourceHasGot(t *testing.T) {
	t.Parallel()
	crowded := reachedBy(3, start, current)
	crowded.Reached.Problem = errors.New("the namespace has 1000001 entries")
	for name, tc := range map[string]struct {
		in         status.Source
		want, says string
	}{
		"all sidecars have its entries": {
			reachedBy(3, start, current, current), "True Programmed", "all 2 sidecars use its 3 entries",
		},
		"one does not yet": {
			reachedBy(1, start, current, behind), "False Pending", "1 of 2 sidecars uses its entry; still to come: b",
		},
		"one is out of touch": {
			reachedBy(2, start, current, lost(time.Hour)), "Unknown Disconnected",
			"1 of 2 sidecars is out of touch with the controller, so it is not known what is enforced there: l",
		},
		"nothing is taken back, and a sidecar is out of touch": {
			reachedBy(0, time.Time{}, lost(time.Hour)), "True Programmed", "nothing is taken back, so there is nothing to wait for",
		},
		"there is no sidecar": {
			reachedBy(2, start), "True NoWorkload", "no live pod of the namespace carries a sidecar, so there is no sidecar to wait for",
		},
		"not all have room": {crowded, "False NoRoom", "sidecars do not have all entries: the namespace has 1000001 entries"},
		"sidecars are not known yet": {
			status.Source{Generation: 1, Now: start, Keys: 1, Entries: 2}, "Unknown Pending", "the sidecars of the namespace are not known yet to this replica of the controller",
		},
	} {
		got := status.ComputeSource(tc.in)
		c := meta.FindStatusCondition(got.Conditions, v1alpha1.ConditionProgrammed)
		if c == nil || string(c.Status)+" "+c.Reason != tc.want || c.Message != tc.says {
			t.Errorf("%s: %+v, want %s: %s", name, c, tc.want, tc.says)
		}
	}
}

// What the leader before said is about the entries that it counted.
func TestANewLeaderKeepsWhatWasSaidOfASourceIfItsEntriesAreTheSame(t *testing.T) {
	t.Parallel()
	was := status.ComputeSource(reachedBy(3, start, current, current))
	for name, tc := range map[string]struct {
		entries int
		last    time.Time
		want    metav1.ConditionStatus
		summary string
	}{
		"the same":                    {3, start, metav1.ConditionTrue, "2/2"},
		"one more":                    {4, start, metav1.ConditionFalse, "1/2"},
		"as many, with a later event": {3, start.Add(2 * time.Second), metav1.ConditionFalse, "1/2"},
	} {
		in := reachedBy(tc.entries, tc.last)
		in.Now, in.Previous = start.Add(time.Minute), was
		in.Reached.Pods = status.Count([]status.Pod{unheard, current}, in.Now, in.Now)
		got := status.ComputeSource(in)
		c := meta.FindStatusCondition(got.Conditions, v1alpha1.ConditionProgrammed)
		if c.Status != tc.want || got.Sidecars.Summary != tc.summary {
			t.Errorf("%s: %+v, %s", name, c, got.Sidecars.Summary)
		}
	}
}

// TestASourceNeverSaysMoreThanIsKnown is TestAStatusNeverSaysMoreThanIsKnown for sources: Programmed is True only if every sidecar uses the entries
// that the same status counts and was in touch a moment ago.
func TestASourceNeverSaysMoreThanIsKnown(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4)) //nolint:gosec // not for secrets
	seen := map[string]int{}
	var previous v1alpha1.RevocationSourceStatus
	for range 20_000 {
		var pods []status.Pod
		for range r.IntN(4) {
			pods = append(pods, randomPod(r))
		}
		entries := r.IntN(3)
		in := reachedBy(entries, start, pods...)
		in.Previous = previous
		if r.IntN(8) == 0 {
			in.Reached = nil
		}
		if r.IntN(8) == 0 && in.Reached != nil {
			in.Reached.Problem = errors.New("no room")
		}
		got := status.ComputeSource(in)
		previous = got
		c := meta.FindStatusCondition(got.Conditions, v1alpha1.ConditionProgrammed)
		seen[string(c.Status)+c.Reason]++
		if c.Status != metav1.ConditionTrue || entries == 0 && in.Reached != nil {
			continue
		}
		if in.Reached == nil || in.Reached.Problem != nil || int(got.Entries) != entries {
			t.Fatalf("%+v of %+v", c, in)
		}
		for _, p := range pods {
			if inTouch := p.Heard && (p.Lost.IsZero() || start.Sub(p.Lost) < 20*time.Second); !p.Bare && !(p.Current && inTouch) {
				t.Fatalf("%+v, but there is %+v", c, p)
			}
		}
	}
	if len(seen) < 6 {
		t.Errorf("only %d kinds came up: %v", len(seen), seen)
	}
}
