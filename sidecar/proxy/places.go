package proxy

import (
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
)

// places bounds how many connections there are of a kind that costs much. A further one waits until another ends, which costs
// neither a goroutine nor a buffer; after a while it is sent away. All methods may be called at any time.
type places struct {
	most     int
	patience time.Duration
	cause    string // why a client is sent away, for the log
	log      logr.Logger
	full     pressure // while any wait; the zero pressure: nobody makes way

	mu     sync.Mutex
	taken  int        // guarded by mu
	queue  []*waiting // guarded by mu: who came first is first
	closed bool       // guarded by mu: nobody waits any more
}

// waiting is a connection that has no place yet.
type waiting struct {
	serve, away func()
	timer       *time.Timer
}

// take has serve called, which must not block, once there is a place for a connection, which leave gives back. Where there
// is none, waits is called at once, and if none comes, away in the end.
func (p *places) take(serve, waits, away func()) {
	w := &waiting{serve: serve, away: away}
	p.mu.Lock()
	switch {
	case p.taken < p.most:
		p.taken++
		p.mu.Unlock()
		w.serve()
	case p.closed:
		p.mu.Unlock()
		p.sendAway(w)
	default:
		waits()
		p.queue = append(p.queue, w)
		w.timer = time.AfterFunc(p.patience, func() { p.giveUp(w) })
		p.mu.Unlock()
		p.full.rises()
	}
}

// leave gives a place to who has waited longest, if anybody does.
func (p *places) leave() {
	if w := p.next(func() { p.taken-- }); w != nil {
		w.serve()
	}
}

// next takes who has waited longest out of the queue. Where nobody waits, it returns nil and calls empty, with the lock held.
func (p *places) next(empty func()) *waiting {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.queue) == 0 {
		empty()
		return nil
	}
	w := p.queue[0]
	p.queue = slices.Delete(p.queue, 0, 1)
	w.timer.Stop()
	return w
}

// giveUp sends away who has waited for too long, unless somebody has taken it out of the queue just now.
func (p *places) giveUp(w *waiting) {
	p.mu.Lock()
	i := slices.Index(p.queue, w)
	if i >= 0 {
		p.queue = slices.Delete(p.queue, i, i+1)
	}
	p.mu.Unlock()
	if i >= 0 {
		p.sendAway(w)
	}
}

// close sends away all who wait, and those that will come while there is no place.
func (p *places) close() {
	for {
		w := p.next(func() { p.closed = true })
		if w == nil {
			return
		}
		p.sendAway(w)
	}
}

// crowded reports whether more than half of the places are taken.
func (p *places) crowded() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.taken > p.most/2
}

func (p *places) sendAway(w *waiting) {
	p.log.V(1).Info("connection refused", "cause", p.cause)
	w.away()
}

// crowds reports whether any wait for a place.
func (p *places) crowds() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.queue) > 0
}
