package dashboard

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/admin"
)

// The bounds, for tests.
const (
	MostAsked    = mostAsked
	MostRefusals = mostRefusals
	MostGroups   = mostGroups
	Parallel     = parallel
	Every        = every
)

// Gather gathers once.
func (w *Watcher) Gather(ctx context.Context) State {
	w.gather(ctx)
	return w.State()
}

// Turns is turns, with when pods were asked.
func Turns(pods []corev1.Pod, asked map[types.UID]time.Time, now time.Time) []string {
	answers := map[types.UID]answer{}
	for uid, at := range asked {
		answers[uid] = answer{at: at}
	}
	var out []string
	for _, p := range turns(pods, answers, now) {
		out = append(out, p.Name)
	}
	return out
}

// Count counts the refusals of one sidecar.
func Count(requests []admin.Request, now time.Time) Refusals {
	r, _ := newRefusals([]heard{{"shop", "deploy/orders", "orders-0", newTally(requests, mostRefusals, now)}}, now)
	return r
}
