package main

import (
	"math"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/bearerguard/bearerguard/api/memlimit"
)

// budget gives the garbage collector what others leave it of the memory limit: the kernel, for connections and what their sockets hold, and files
// in memory. All methods may be called at any time.
type budget struct {
	limit int64        // bytes, of all; math.MaxInt64: there is none
	set   func(int64)  // gives the collector its own
	conns atomic.Int64 // client connections that are open
	heeds atomic.Int64 // how many of them set knows of, rounded up
	mu    sync.Mutex   // held while set is called

	files, sockets int64 // guarded by mu: bytes
}

// heedEvery is how many connections the collector is told of at a time, and heedBytes how much of what sockets hold: it then finds out anew when to run.
const (
	heedEvery = 256
	heedBytes = 4 << 20
)

func newBudget(limit int64) *budget {
	return &budget{limit: limit, set: func(n int64) { debug.SetMemoryLimit(n) }}
}

// connection counts client connections: +1 for one opened, -1 for one closed.
func (b *budget) connection(delta int) {
	n := b.conns.Add(int64(delta))
	if d := b.heeds.Load() - n; d < 0 || d > 2*heedEvery {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.settle()
	}
}

// holdFiles notes how many bytes of files are in memory.
func (b *budget) holdFiles(bytes int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.files = bytes
	b.settle()
}

// holdSockets notes for how many bytes sockets are to have room.
func (b *budget) holdSockets(bytes int64) {
	bytes = (bytes + heedBytes - 1) / heedBytes * heedBytes
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.sockets != bytes {
		b.sockets = bytes
		b.settle()
	}
}

// settle gives the collector what is left. mu is held.
func (b *budget) settle() {
	if b.limit == math.MaxInt64 {
		return
	}
	heeds := (b.conns.Load() + heedEvery - 1) / heedEvery * heedEvery
	b.heeds.Store(heeds)
	b.set(collectorLimit(b.limit, heeds, b.files+b.sockets))
}

// collectorLimit is what is left to the collector: a half of the limit at least, of which connections take a quarter at most.
func collectorLimit(limit, connections, others int64) int64 {
	return max(limit-min(connections*memlimit.Kernel, limit/4)-others, limit/2)
}
