package introspect

import (
	"context"
	"net/netip"
	"slices"
	"sync"
)

// Bounds of questions at a time.
const (
	// MaxAtOnce is of all endpoints together.
	MaxAtOnce = 64
	// maxAtEndpoint is of one, so that one that is slow leaves some to others; maxOfClient of one client's address.
	maxAtEndpoint = 32
	maxOfClient   = 24
)

// lane is those who wait for the same: one client's questions for one endpoint.
type lane struct {
	endpoint *Endpoint
	client   netip.Addr
}

// turns hands out turns to ask. Where there are more who want one than there may be, the lanes take turns, so that a flood of
// one client delays the others by a question, not by all of its own. It is safe for concurrent use.
type turns struct {
	mu      sync.Mutex
	running int                // guarded by mu, as is all that follows
	clients map[netip.Addr]int // by client, those that run
	waiting map[lane][]chan struct{}
	order   []lane // those in waiting, the one that has waited longest for a turn first
}

func newTurns() *turns {
	return &turns{clients: map[netip.Addr]int{}, waiting: map[lane][]chan struct{}{}}
}

// enter waits for a turn. It returns false if ctx ends before.
func (t *turns) enter(ctx context.Context, l lane) bool {
	t.mu.Lock()
	if len(t.waiting[l]) == 0 && t.free(l) {
		t.take(l)
		t.mu.Unlock()
		return true
	}
	mine := make(chan struct{})
	if len(t.waiting[l]) == 0 {
		t.order = append(t.order, l)
	}
	t.waiting[l] = append(t.waiting[l], mine)
	t.mu.Unlock()
	select {
	case <-mine:
		return true
	case <-ctx.Done():
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if i := slices.Index(t.waiting[l], mine); i >= 0 {
		t.remove(l, i)
		return false
	}
	return true // it came at the same time
}

// leave gives a turn back, and hands it on.
func (t *turns) leave(l lane) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.running--
	l.endpoint.busy--
	if t.clients[l.client]--; t.clients[l.client] == 0 {
		delete(t.clients, l.client)
	}
	for {
		i := slices.IndexFunc(t.order, t.free)
		if i < 0 {
			return
		}
		next := t.order[i]
		close(t.waiting[next][0])
		t.order = append(slices.Delete(t.order, i, i+1), next) // to the end
		t.remove(next, 0)
		t.take(next)
	}
}

// free is called with mu held, as are the others.
func (t *turns) free(l lane) bool {
	return t.running < MaxAtOnce && l.endpoint.busy < maxAtEndpoint && t.clients[l.client] < maxOfClient
}

func (t *turns) take(l lane) {
	t.running++
	l.endpoint.busy++
	t.clients[l.client]++
}

func (t *turns) remove(l lane, i int) {
	if t.waiting[l] = slices.Delete(t.waiting[l], i, i+1); len(t.waiting[l]) == 0 {
		delete(t.waiting, l)
		t.order = slices.DeleteFunc(t.order, func(o lane) bool { return o == l })
	}
}

// now returns how many run.
func (t *turns) now() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.running
}
