package status_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/controllers/status"
)

// TestAStatusNeverSaysMoreThanIsKnown holds statuses of random pods to what they promise: Programmed is True only if every pod
// with a sidecar uses this generation and was in touch a moment ago, Guarded only if there are pods and none is bare, and the
// counts add up.
func TestAStatusNeverSaysMoreThanIsKnown(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // not for secrets
	seen := map[string]int{}
	for range 20_000 {
		in := status.Input{Generation: 1, Now: start, Elected: start.Add(-time.Duration(30+r.IntN(3000)) * time.Second)}
		for range r.IntN(4) {
			in.Pods = append(in.Pods, randomPod(r))
		}
		s, _ := status.Compute(in)
		c := s.Sidecars
		if c.Current+c.Rejecting+c.Disconnected+c.Missing > c.Total || int(c.Total) != len(in.Pods) {
			t.Fatalf("%+v of %+v", c, in.Pods)
		}
		is := func(kind string) bool { return meta.IsStatusConditionTrue(s.Conditions, kind) }
		for _, p := range in.Pods {
			inTouch := p.Heard && (p.Lost.IsZero() || start.Sub(p.Lost) < 20*time.Second)
			if is(v1alpha1.ConditionProgrammed) && !p.Bare && !(p.Current && inTouch) || is(v1alpha1.ConditionGuarded) && p.Bare {
				t.Fatalf("%s, but there is %+v", line(s), p)
			}
		}
		if is(v1alpha1.ConditionGuarded) && len(in.Pods) == 0 || is(v1alpha1.ConditionReady) && len(in.Pods) > 0 && int(c.Current) != len(in.Pods) {
			t.Fatalf("%s of %+v", line(s), in.Pods)
		}
		seen[line(s)]++
	}
	if len(seen) < 8 {
		t.Errorf("only %d kinds of status came up: %v", len(seen), seen)
	}
}

func randomPod(r *rand.Rand) status.Pod {
	p := status.Pod{
		Name: "p", Created: start.Add(-time.Duration(r.IntN(120)) * time.Second),
		Bare: r.IntN(4) == 0, Heard: r.IntN(4) > 0, Moved: r.IntN(2) == 0, Current: r.IntN(3) > 0,
	}
	if r.IntN(3) == 0 {
		p.Lost = start.Add(-time.Duration(r.IntN(40)) * time.Second)
	}
	if r.IntN(5) == 0 {
		p.Rejected = "too new"
	}
	return p
}
