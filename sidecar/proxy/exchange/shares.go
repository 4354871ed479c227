package exchange

import (
	"net/netip"
	"sync"

	"github.com/bearerguard/bearerguard/sidecar/gate"
	"github.com/bearerguard/bearerguard/sidecar/proxy/loop"
)

// maxGathered bounds the bodies that are waited for so that the gate can read them, of all connections together, and maxGatheredOf
// those of one client, in bytes.
const (
	maxGathered   = 32 << 20
	maxGatheredOf = maxGathered / 8
)

// leastGathered is what a body counts for at least: its block, and what else its request holds while it waits.
const leastGathered = 8 << 10

// maxHeads bounds the heads that have not come as a whole, and those of requests that wait for their verdict, of all connections together, and maxHeadsOf those of one client, in bytes. Heads
// of smallHead do not count: there is always room for them.
const (
	maxHeads   = 16 << 20
	maxHeadsOf = maxHeads / 2
	smallHead  = 4 << 10
)

// Shares bounds what the connections of all loops hold of something, in bytes: of all clients together, and of each. It is safe for
// concurrent use.
type Shares struct {
	most, each int
	least      int // what something counts for at least

	mu    sync.Mutex
	bytes int                // guarded by mu
	of    map[netip.Addr]int // guarded by mu; by client, as gate.ClientOf tells them apart
}

// NewGathered counts bodies that are waited for so that the gate can read them.
func NewGathered() *Shares {
	return &Shares{most: maxGathered, each: maxGatheredOf, least: leastGathered, of: map[netip.Addr]int{}}
}

// NewHeads counts heads that have not come as a whole, or wait.
func NewHeads() *Shares {
	return &Shares{most: maxHeads, each: maxHeadsOf, of: map[netip.Addr]int{}}
}

// Take counts n bytes of the client at an address, and returns false if there is no room.
func (s *Shares) Take(from netip.Addr, n int) bool {
	size, from := max(n, s.least), gate.ClientOf(from)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bytes+size > s.most || s.of[from]+size > s.each {
		return false
	}
	s.bytes += size
	s.of[from] += size
	return true
}

// Give gives back what Take has counted.
func (s *Shares) Give(from netip.Addr, n int) {
	size, from := max(n, s.least), gate.ClientOf(from)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bytes -= size
	if s.of[from] -= size; s.of[from] == 0 {
		delete(s.of, from)
	}
}

// HeadSize is what a head counts for of which so many bytes have come: its block.
func HeadSize(came int) int {
	if came <= smallHead {
		return 0
	}
	return loop.BlockSize(came)
}

// HoldsHead counts a head that has not come as a whole for n bytes, in place of what it has counted for so far; 0: there is none any more. It
// returns false, and counts nothing more, if there is no room.
func (c *Conn) HoldsHead(n int) bool {
	switch more := n - c.head; {
	case more > 0 && !c.Host.Heads.Take(c.Info.Remote, more):
		return false
	case more < 0:
		c.Host.Heads.Give(c.Info.Remote, -more)
	}
	c.head = n
	return true
}

// keepHead counts the head of a request that waits for its verdict, up to giveRoom. It returns false if there is no room for it.
func (x *Exchange) keepHead() bool {
	n := len(x.held)
	if x.HTTP2 { // there are no blocks
		n += sizeOf(x.Req.Fields)
	}
	size := HeadSize(n)
	if size > 0 && !x.host.Heads.Take(x.conn.Info.Remote, size) {
		return false
	}
	x.kept = size
	return true
}
