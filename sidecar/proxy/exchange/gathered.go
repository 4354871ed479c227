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

// Gathered counts the bytes of bodies that are waited for, of all loops. It is safe for concurrent use; the zero value is ready.
type Gathered struct {
	mu    sync.Mutex
	bytes int                // guarded by mu
	of    map[netip.Addr]int // guarded by mu; by client, as gate.ClientOf tells them apart
}

// Take counts a body of the client at an address, and returns false if there is no room.
func (g *Gathered) Take(from netip.Addr, n int) bool {
	size, from := max(n, leastGathered), gate.ClientOf(from)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.bytes+size > maxGathered || g.of[from]+size > maxGatheredOf {
		return false
	}
	if g.of == nil {
		g.of = map[netip.Addr]int{}
	}
	g.bytes += size
	g.of[from] += size
	return true
}

// Give gives back what Take has counted.
func (g *Gathered) Give(from netip.Addr, n int) {
	size, from := max(n, leastGathered), gate.ClientOf(from)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.bytes -= size
	if g.of[from] -= size; g.of[from] == 0 {
		delete(g.of, from)
	}
}
