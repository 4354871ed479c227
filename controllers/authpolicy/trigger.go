package authpolicy

import (
	"context"
	"sync"
	"time"

	"k8s.io/client-go/util/workqueue"
)

// Trigger adds namespaces to the queue of a controller from outside of it. It may be used before the controller starts,
// and by many at once; it never blocks.
type Trigger struct {
	// Delay gathers what comes within it. Zero: none.
	Delay time.Duration

	mu    sync.Mutex
	queue workqueue.TypedRateLimitingInterface[string] // guarded by mu; nil until the controller starts
	early map[string]bool                              // guarded by mu; what came before that
}

// Add asks for a namespace to be looked at.
func (t *Trigger) Add(namespace string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.queue == nil {
		if t.early == nil {
			t.early = map[string]bool{}
		}
		t.early[namespace] = true
		return
	}
	t.queue.AddAfter(namespace, t.Delay)
}

// start is a source of the controller.
func (t *Trigger) start(_ context.Context, queue workqueue.TypedRateLimitingInterface[string]) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.queue = queue
	for namespace := range t.early {
		queue.AddAfter(namespace, t.Delay)
	}
	t.early = nil
	return nil
}
