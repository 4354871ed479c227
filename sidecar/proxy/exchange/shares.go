package exchange

import (
	"net/netip"
	"sync"

	"github.com/bearerguard/bearerguard/sidecar/gate"
)

// maxGathered bounds the bodies that are waited for so that the gate can read them, of all connections together, and maxGatheredOf
// those of one client, in bytes.
const (
	maxGathered   = 32 << 20
	maxGatheredOf = maxGathered / 8
)

// leastGathered is what a body counts for at least: its block.
const leastGathered = 8 << 10

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
