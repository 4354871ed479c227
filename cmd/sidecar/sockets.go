package main

import (
	"sync"
	"time"

	"github.com/bearerguard/bearerguard/api/memlimit"
)

// sockets watches what the kernel holds for connections, which counts to the container's memory limit: what they have sent and nobody has read yet,
// and what they have yet to take. Without it, clients that read nothing would have the kernel end the process.
type sockets struct {
	usage  func(least int64) memlimit.Usage
	budget *budget

	mu      sync.Mutex
	looked  time.Time // guarded by mu: when it last looked
	eased   time.Time // guarded by mu: when there was last no need to be tight
	tight   bool      // guarded by mu: what it saw
	excess  int64     // guarded by mu: bytes
	nothing int64     // guarded by mu: where the container takes less, in bytes, sockets cannot hold much
	known   time.Time // guarded by mu: when nothing was found out
}

const (
	lookEvery    = time.Millisecond
	nothingHolds = 100 * time.Millisecond // others may have given back what sockets have taken
	collects     = 20 * time.Millisecond  // in which the collector makes room
)

// watchSockets returns nil where sockets do not count.
func watchSockets(b *budget) func() (tight bool, excess int64) {
	c := memlimit.OpenContainer()
	if c == nil {
		return nil
	}
	s := &sockets{usage: c.Usage, budget: b}
	return func() (bool, int64) { return s.pressure(time.Now()) }
}

// pressure reports whether the kernel is to hold little for each connection, and how many bytes less it has to hold for all. It may be called at any time.
func (s *sockets) pressure(now time.Time) (tight bool, excess int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.looked) < lookEvery {
		return s.tight, s.excess
	}
	s.looked = now
	if s.tight || now.Sub(s.known) >= nothingHolds {
		s.nothing = 0
	}
	u := s.usage(s.nothing)
	var room int64
	room, s.excess = relief(u, now.Sub(s.eased) >= collects)
	if s.tight = room > 0; !s.tight {
		s.eased = now
	}
	if !s.tight && u.Bound > 0 {
		s.nothing, s.known = min(u.Taken+leastSockets(u)-u.Sockets, u.Limit/8*7), now
	}
	s.budget.holdSockets(room)
	return s.tight, s.excess
}

// leastSockets is what sockets may hold in any case, in bytes.
func leastSockets(u memlimit.Usage) int64 { return max(u.Limit/16, 4<<20) }

// relief returns for how many bytes of sockets the garbage collector has to leave room, and how many bytes less they have to hold. Where they
// hold much of a container that is more than half full, the collector makes room. Where it has had its time and that is not enough, sockets do, and at
// once where less than an eighth is left: a quarter of the limit has to be free for what comes until the next look.
func relief(u memlimit.Usage, collected bool) (room, excess int64) {
	least := leastSockets(u)
	if u.Bound < u.Limit/2 || u.Sockets < least {
		return 0, 0
	}
	if collected && u.Bound > u.Limit/4*3 || u.Bound > u.Limit/8*7 {
		excess = min(u.Bound-u.Limit/8*5, u.Sockets-least)
	}
	return u.Sockets + u.Limit/4, excess
}
