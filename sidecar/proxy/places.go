package proxy

import (
	"container/list"
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

	mu     sync.Mutex
	taken  int       // guarded by mu
	queue  list.List // guarded by mu: of *waiting, who came first is first
	closed bool      // guarded by mu: nobody waits any more
}

// waiting is a connection that has no place yet.
type waiting struct {
	serve, away func()
	timer       *time.Timer
	out         bool // guarded by places.mu: of the queue
}

// take has serve called, which must not block, once there is a place for a connection, which leave gives back. Where there
// is none, away is called in the end.
func (p *places) take(serve, away func()) {
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
		e := p.queue.PushBack(w)
		w.timer = time.AfterFunc(p.patience, func() { p.giveUp(e) })
		p.mu.Unlock()
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
	first := p.queue.Front()
	if first == nil {
		empty()
		return nil
	}
	w := p.queue.Remove(first).(*waiting)
	w.timer.Stop()
	w.out = true
	return w
}

// giveUp sends away who has waited for too long, unless somebody has taken it out of the queue just now.
func (p *places) giveUp(e *list.Element) {
	p.mu.Lock()
	w := e.Value.(*waiting)
	out := w.out
	if !out {
		p.queue.Remove(e)
	}
	p.mu.Unlock()
	if !out {
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

// waits is how many wait for a place.
func (p *places) waits() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.queue.Len()
}
