package gate

import (
	"context"
	"sync"
	"time"

	"github.com/bearerguard/bearerguard/api/decision"
)

// maxWaiting bounds the requests that wait for keys at one time: a flood of made-up key ids must not hold connections.
const maxWaiting = 256

// waiting is the requests that wait for the next snapshot.
type waiting struct {
	mu   sync.Mutex
	next chan struct{} // guarded by mu; closed by the next Swap
	n    int           // guarded by mu
}

func newWaiting() *waiting { return &waiting{next: make(chan struct{})} }

// wake ends all waits.
func (w *waiting) wake() {
	w.mu.Lock()
	defer w.mu.Unlock()
	close(w.next)
	w.next = make(chan struct{})
}

// enter reports whether one more may wait; each that may is given back with leave.
func (w *waiting) enter() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.n >= maxWaiting {
		return false
	}
	w.n++
	return true
}

func (w *waiting) leave() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.n--
}

// JudgeWaiting is Judge for requests that can wait: a token whose key the snapshot lacks is judged again with the next
// snapshot, so that an issuer that signs with a new key at once refuses nobody. The wait ends Options.KeyWait after the
// keys were asked for, which happens at most once in UnknownKeyEvery: in between, tokens with unknown keys are refused
// at once. It also ends with ctx.
func (g *Gate) JudgeWaiting(ctx context.Context, r *Request) Verdict {
	under := g.snapshot.Load()
	v := g.Judge(r)
	if v.Reason != decision.UnknownKey || v.KeysAsked.IsZero() || !g.waiting.enter() {
		return v
	}
	defer g.waiting.leave()
	end := g.opts.Now().Add(g.opts.KeyWait)
	for v.Reason == decision.UnknownKey {
		if !g.wait(ctx, under, min(end.Sub(g.opts.Now()), v.KeysAsked.Add(g.opts.KeyWait).Sub(g.opts.Now()))) {
			return v
		}
		under = g.snapshot.Load()
		later := *r
		later.Time = time.Time{} // it is later by now
		v = g.Judge(&later)
	}
	return v
}

// wait returns true once another snapshot than this one is in force, false if none is in time.
func (g *Gate) wait(ctx context.Context, under *Snapshot, patience time.Duration) bool {
	next := g.waiting.current()
	if g.snapshot.Load() != under {
		return true
	}
	if patience <= 0 {
		return false
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-next:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

// current returns what the next Swap closes.
func (w *waiting) current() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.next
}
