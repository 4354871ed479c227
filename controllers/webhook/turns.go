package webhook

import (
	"context"
	"errors"
	"runtime"
	"sync"
)

const (
	// waitingOfOne and waitingOfAll are how many reviews of policies may wait, of one namespace and of all. Each holds its object.
	waitingOfOne = 64
	waitingOfAll = 256
)

// policyReviews is how many policies are reviewed at a time: half of the processors are left to pods, which somebody waits for.
func policyReviews() int { return max(2, runtime.GOMAXPROCS(0)/2) }

var errCrowded = errors.New("too many policies wait to be reviewed: try again")

// turns lets few policies be reviewed at a time, and of each namespace one: expressions cost processor time.
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
}

func newTurns(places int) *turns {
	return &turns{places: make(chan struct{}, places), queues: map[string]*queue{}}
}

// take waits for a turn of the namespace, first come, first served, and returns what gives it back. It fails if ctx ends before or too many
// wait already.
func (t *turns) take(ctx context.Context, namespace string) (done func(), err error) {
	q, err := t.ask(namespace)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			t.leave(namespace, q)
		}
	}()
	select {
	case q.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	select {
	case t.places <- struct{}{}:
	case <-ctx.Done():
		<-q.turn
		return nil, ctx.Err()
	}
	return func() {
		<-t.places
		<-q.turn
		t.leave(namespace, q)
	}, nil
}

func (t *turns) ask(namespace string) (*queue, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	q := t.queues[namespace]
	if q == nil {
		q = &queue{turn: make(chan struct{}, 1)}
	}
	if q.asking > waitingOfOne || t.asking >= waitingOfAll {
		return nil, errCrowded
	}
	t.queues[namespace] = q
	q.asking++
	t.asking++
	return q, nil
}

func (t *turns) leave(namespace string, q *queue) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.asking--
	if q.asking--; q.asking == 0 {
		delete(t.queues, namespace)
	}
}
