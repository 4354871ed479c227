package main

import (
	"sync"

	"github.com/bearerguard/bearerguard/api/memlimit"
)

// sockets watches what the kernel holds for connections, which counts to the container's memory limit: what they have sent and nobody has read yet,
// and what they have yet to take. Without it, clients that read nothing would have the kernel end the process.
type sockets struct {
	usage  func() memlimit.Usage
	budget *budget

	mu sync.Mutex // held while it looks
}

// watchSockets returns nil where sockets do not count.
func watchSockets(b *budget) func() (tight bool, excess int64) {
	c := memlimit.OpenContainer()
	if c == nil {
		return nil
	}
	return (&sockets{usage: c.Usage, budget: b}).pressure
}

// pressure reports whether the kernel is to hold little for each connection, and how many bytes less it has to hold for all. It may be called at any time.
func (s *sockets) pressure() (tight bool, excess int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	room, excess := relief(s.usage())
	s.budget.hold(room)
	return room > 0, excess
}

// relief returns for how many bytes of sockets the garbage collector has to leave room, and how many bytes less they have to hold. Where they
// hold much of a container that is more than half full, the collector makes room first. Where that is not enough, sockets do: a quarter of the
// limit has to be free for what comes until the next look.
func relief(u memlimit.Usage) (room, excess int64) {
	least := u.Limit / 16
	if u.Bound < u.Limit/2 || u.Sockets < least {
		return 0, 0
	}
	if u.Bound > u.Limit/4*3 {
		excess = min(u.Bound-u.Limit/8*5, u.Sockets-least)
	}
	return u.Sockets + u.Limit/8, excess
}
