package authpolicy

import (
	"context"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/controllers/compile"
	"github.com/bearerguard/bearerguard/controllers/status"
)

// carriers are the pods of a namespace that carry a sidecar, and how far each has got with revocations.
type carriers struct {
	pods            []status.Pod
	acked, rejected []int // steps of the history, one for each pod
	reasons         []string
	steps           []int                // those that occur, sorted
	tallies         map[int]status.Tally // by how many of steps are lower
	now, elected    time.Time
}

func carriersOf(s *scene) *carriers {
	c := &carriers{tallies: map[int]status.Tally{}, now: s.now, elected: s.elected}
	s.revoked.history.retain(s.sidecars)
	for _, w := range s.result.Workloads {
		x, heard := s.sidecars[w.UID]
		if !heard && !w.Injected || !(heard && x.Lost.IsZero()) && s.leaving(w) {
			continue
		}
		acked, rejected := s.revoked.history.reach(x)
		c.pods = append(c.pods, podOf(w, x, compile.PolicyRef{}))
		c.acked, c.rejected, c.reasons = append(c.acked, acked), append(c.rejected, rejected), append(c.reasons, x.Revocations.Reason)
		c.steps = append(c.steps, acked, rejected)
	}
	s.mark(c.pods)
	slices.Sort(c.steps)
	c.steps = slices.Compact(c.steps)
	return c
}

// at counts the pods for revocations that came in a step. Most came before all that any sidecar uses and are counted once.
func (c *carriers) at(step int) status.Tally {
	key, _ := slices.BinarySearch(c.steps, step)
	if t, ok := c.tallies[key]; ok {
		return t
	}
	for i := range c.pods {
		c.pods[i].Current, c.pods[i].Rejected = c.acked[i] >= step, ""
		if c.rejected[i] >= step {
			c.pods[i].Rejected = c.reasons[i]
		}
	}
	t := status.Count(c.pods, c.now, c.elected)
	c.tallies[key] = t
	return t
}

// maxWrites bounds the statuses of revocations that are written in one go, so that policies do not wait for thousands.
const maxWrites = 100

// revocations writes the statuses of revocations, those that somebody may wait for first, and notes which there are.
func (w *writer) revocations(ctx context.Context, s *scene, here map[types.UID]bool) error {
	var revocations revocationObjects
	if err := w.reader.List(ctx, &revocations, client.InNamespace(s.namespace)); err != nil {
		return fmt.Errorf("list revocations: %w", err)
	}
	if len(revocations.Items) == 0 {
		return nil
	}
	objects := map[compile.RevocationRef]*revocationObject{}
	for i := range revocations.Items {
		o := &revocations.Items[i]
		objects[compile.RevocationRef{Name: o.Name, UID: string(o.UID), Generation: o.Generation}] = o
		here[o.UID] = true
	}
	due := w.dueRevocations(s, objects)
	for _, d := range due[:min(len(due), maxWrites)] {
		if done, err := w.apply(ctx, s, d.object, "TokenRevocation", &d.next); err != nil {
			return err
		} else if done {
			w.events.revocation(d.object, d.previous, d.next)
		}
	}
	if len(due) > maxWrites {
		s.by(s.now.Add(ackPause))
	}
	return nil
}

// dueRevocation is a status to write.
type dueRevocation struct {
	object         *revocationObject
	previous, next v1alpha1.TokenRevocationStatus
}

func (w *writer) dueRevocations(s *scene, objects map[compile.RevocationRef]*revocationObject) []dueRevocation {
	pods := carriersOf(s)
	var fresh, rest []dueRevocation
	for _, outcome := range s.revoked.load() {
		o := objects[outcome.Ref]
		step, ok := s.revoked.history.came(outcome.Ref)
		if o == nil || !ok {
			continue // it has changed, and is compiled again
		}
		in := status.Revocation{
			Generation: o.Generation, Now: s.now, Problem: outcome.Problem, Entries: outcome.Entries, Pods: pods.at(step),
			Previous: previous[v1alpha1.TokenRevocationStatus](w, o.UID, o.Status),
		}
		s.by(in.Pods.Next())
		d := dueRevocation{o, in.Previous, status.ComputeRevocation(in)}
		switch {
		case !status.RevocationChanged(d.previous, d.next):
		case meta.IsStatusConditionTrue(d.previous.Conditions, v1alpha1.ConditionProgrammed) && d.previous.ObservedGeneration == o.Generation:
			rest = append(rest, d)
		default:
			fresh = append(fresh, d)
		}
	}
	return append(fresh, rest...)
}
