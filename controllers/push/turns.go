package push

import (
	"context"
	"runtime"
	"sync"
	"time"
)

const (
	// turnsAtATime is how many sidecars for each processor are sent something at a time. All at once would be thousands of
	// goroutines that encrypt, before which the admission of a pod would wait.
	turnsAtATime = 32
	// longestTurn is how long a sidecar that does not acknowledge keeps its turn.
	longestTurn = 20 * time.Millisecond
)

// turns bounds how many streams send at a time, and gives namespaces turns in rotation, so that an edit for few sidecars
// does not wait behind one for thousands. It is safe for concurrent use.
type turns struct {
	mu       sync.Mutex
	free     int                        // guarded by mu
	waiting  map[string][]chan struct{} // guarded by mu; by namespace, never empty
	rotation []string                   // guarded by mu; the keys of waiting
}

func newTurns() *turns {
	return &turns{free: turnsAtATime * runtime.GOMAXPROCS(0), waiting: map[string][]chan struct{}{}}
}

// wait returns when it is the turn of a stream of namespace. The function it returns ends the turn; it may be called again.
// Without that, the turn ends by itself soon. false: ctx was done first.
func (t *turns) wait(ctx context.Context, namespace string) (end func(), ok bool) {
	if c := t.line(namespace); c != nil {
		select {
		case <-c:
		case <-ctx.Done():
			go func() { <-c; t.next() }() // its turn will come all the same, and goes to the next
			return nil, false
		}
	}
	end = sync.OnceFunc(t.next)
	time.AfterFunc(longestTurn, end)
	return end, true
}

// line returns nil if it is the caller's turn, or else what is closed when it is.
func (t *turns) line(namespace string) chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.free > 0 {
		t.free--
		return nil
	}
	c := make(chan struct{})
	if len(t.waiting[namespace]) == 0 {
		t.rotation = append(t.rotation, namespace)
	}
	t.waiting[namespace] = append(t.waiting[namespace], c)
	return c
}

// next passes a turn on.
func (t *turns) next() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.rotation) == 0 {
		t.free++
		return
	}
	namespace := t.rotation[0]
	t.rotation = t.rotation[1:]
	line := t.waiting[namespace]
	close(line[0])
	if len(line) == 1 {
		delete(t.waiting, namespace)
		return
	}
	t.waiting[namespace] = line[1:]
	t.rotation = append(t.rotation, namespace)
}
