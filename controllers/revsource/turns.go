package revsource

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Bounds of what a client address may do. A provider's address has more than it needs; whoever sends what is refused has little.
const (
	requestsASecond, requestsAtOnce = 1000, 5000
	// refusedCost is what a request that is refused takes of that.
	refusedCost = 20
	// maxAddresses is how many addresses are remembered.
	maxAddresses = 4096
)

// shares are what client addresses have left. It is safe for concurrent use.
type shares struct {
	mu sync.Mutex
	of map[netip.Prefix]*rate.Limiter // guarded by mu
}

// take takes n of an address's share, and reports whether there was as much.
func (s *shares) take(p netip.Prefix, n int, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.of[p]
	if l == nil {
		if len(s.of) >= maxAddresses {
			for old, x := range s.of { // who has a full share is as one who never came
				if x.TokensAt(now) >= requestsAtOnce {
					delete(s.of, old)
				}
			}
		}
		if len(s.of) >= maxAddresses {
			return false
		}
		if s.of == nil {
			s.of = map[netip.Prefix]*rate.Limiter{}
		}
		l = rate.NewLimiter(requestsASecond, requestsAtOnce)
		s.of[p] = l
	}
	return l.AllowN(now, n)
}

// refused takes what a refusal costs, as far as there is something left.
func (s *shares) refused(p netip.Prefix, now time.Time) {
	s.mu.Lock()
	l := s.of[p]
	s.mu.Unlock()
	if l != nil {
		_ = l.ReserveN(now, refusedCost)
	}
}

// turns bound how many signatures are verified at a time, and how many wait for it.
type turns struct{ at, in chan struct{} }

func newTurns(at, waiting int) *turns {
	return &turns{make(chan struct{}, at), make(chan struct{}, at+waiting)}
}

// take waits for a turn; done ends it.
func (t *turns) take(ctx context.Context) (done func(), err error) {
	select {
	case t.in <- struct{}{}:
	default:
		return nil, errCrowded
	}
	select {
	case t.at <- struct{}{}:
		return func() { <-t.at; <-t.in }, nil
	case <-ctx.Done():
		<-t.in
		return nil, ctx.Err()
	}
}
