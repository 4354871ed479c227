package webhook

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"time"
)

const (
	// waitingOfOne and waitingOfAll are how many reviews of policies may wait, of one namespace and of all.
	waitingOfOne = 64
	waitingOfAll = 256
	// waitingNamespaces is how many namespaces may wait. The first review of each waits beyond waitingOfAll, too, so that few namespaces
	// do not keep out all others. Names can be invented, so this has an end: waitingOfAll + waitingNamespaces reviews of smallReview
	// bytes are 192 MiB.
	waitingNamespaces = 512
	// largeOfOne is how many large reviews one namespace has, with the one that has the turn. Each holds one of largePolicies places.
	largeOfOne = largePolicies / 2
	// largeWait is how long a large one waits for its turn.
	largeWait = 2 * time.Second
)

// policyReviews is how many policies are reviewed at a time: half of the processors are left to pods, which somebody waits for.
func policyReviews() int { return max(2, runtime.GOMAXPROCS(0)/2) }

var errCrowded = errors.New("too many policies wait to be reviewed: try again")

// turns lets few policies be reviewed at a time, and of each namespace one: expressions cost processor time. Places go to the
// namespaces in the order in which they came to their turn, so one with many reviews has each of them behind all others.
type turns struct {
	places chan struct{}

	mu     sync.Mutex
	queues map[string]*queue // by namespace, guarded by mu
	asking int               // in all queues, guarded by mu
}

// queue is of one namespace.
type queue struct {
	turn   chan struct{}
	asking int // who has the turn or waits for it; guarded by turns.mu
	large  int // how many of them are large; guarded by turns.mu
}

func newTurns(places int) *turns {
	return &turns{places: make(chan struct{}, places), queues: map[string]*queue{}}
}

// take waits for a turn of the namespace, first come, first served, and returns what gives it back. It fails if ctx ends before or too many
// wait already. A large request, by ctx, does not wait for longer than largeWait.
func (t *turns) take(ctx context.Context, namespace string) (done func(), err error) {
	large := isLarge(ctx)
	q, err := t.ask(namespace, large)
	if err != nil {
		return nil, err
	}
	if large {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, largeWait, errCrowded)
		defer cancel()
	}
	defer func() {
		if err != nil {
			t.leave(namespace, q, large)
		}
	}()
	select {
	case q.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	select {
	case t.places <- struct{}{}:
	case <-ctx.Done():
		<-q.turn
		return nil, context.Cause(ctx)
	}
	return func() {
		<-t.places
		<-q.turn
		t.leave(namespace, q, large)
	}, nil
}

func (t *turns) ask(namespace string, large bool) (*queue, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	q := t.queues[namespace]
	if q == nil {
		if len(t.queues) >= waitingNamespaces {
			return nil, errCrowded
		}
		q = &queue{turn: make(chan struct{}, 1)}
	}
	if q.crowded(large) || t.asking >= waitingOfAll && q.asking > 0 {
		return nil, errCrowded
	}
	t.queues[namespace] = q
	q.asking++
	t.asking++
	if large {
		q.large++
	}
	return q, nil
}

// crowded reports whether the namespace has enough reviews already. turns.mu is held.
func (q *queue) crowded(large bool) bool {
	return q.asking > waitingOfOne || large && q.large >= largeOfOne
}

func (t *turns) leave(namespace string, q *queue, large bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.asking--
	if large {
		q.large--
	}
	if q.asking--; q.asking == 0 {
		delete(t.queues, namespace)
	}
}
