package proxy

import (
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// gathered is a connection that writes a moment later what it is given: Go's server for HTTP/2 writes the head of an answer
// and each frame of its body one after the other, and all that for each stream of its own, where one system call can do for
// what is about to be written. The moment is as long as other goroutines need that can run already, or until there is no
// more room: nothing waits for a clock.
//
// An error is returned by a later Write, and ends a Read. Close lets what was given be written, for a second at most.
type gathered struct {
	net.Conn

	mu      sync.Mutex
	written sync.Cond // on mu: there is room again, or an error
	pending []byte    // guarded by mu, as all: a block, or nil
	n       int       // how much of pending is to be written
	due     bool      // a goroutine is about to write
	sending bool      // one writes, without the lock
	closed  bool
	err     error
}

// Sizes in bytes.
const (
	gatherBytes = 16 << 10                // a block
	gatherPiece = 6 << 10                 // what is larger goes into a wide block, or is written by itself
	gatherWide  = 4*(9+frameBytes) + 4096 // a wide block: four frames of the usual size, and some small ones
	gatherWides = 64                      // how many wide blocks there are: clients that read nothing keep them
)

var (
	gatherBlocks = sync.Pool{New: func() any { return new([gatherBytes]byte) }}
	wideBlocks   = sync.Pool{New: func() any { return new([gatherWide]byte) }}
	wideTaken    atomic.Int32
)

func newGathered(c net.Conn) *gathered {
	g := &gathered{Conn: c}
	g.written.L = &g.mu
	return g
}

// Write implements net.Conn.
func (g *gathered) Write(b []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.err == nil && !g.closed && !g.reserve(len(b)) {
		switch {
		case g.sending:
			g.written.Wait()
		case g.n > 0:
			g.rest()
		default:
			g.send(b)
			g.rest()
			return len(b), g.err
		}
	}
	switch {
	case g.err != nil:
		return 0, g.err
	case g.closed:
		return 0, net.ErrClosed
	}
	g.n += copy(g.pending[g.n:], b)
	if !g.due && !g.sending {
		g.due = true
		go g.write()
	}
	return len(b), nil
}

// reserve makes room for n bytes. It returns false if there is none now, or no block to be had.
func (g *gathered) reserve(n int) bool {
	switch {
	case n > gatherPiece && len(g.pending) < gatherWide:
		return n <= gatherWide-g.n && g.widen()
	case g.pending == nil:
		g.pending = gatherBlocks.Get().(*[gatherBytes]byte)[:]
	}
	return n <= len(g.pending)-g.n
}

// widen has a wide block take the place of pending, if there is one.
func (g *gathered) widen() bool {
	if wideTaken.Add(1) > gatherWides {
		wideTaken.Add(-1)
		return false
	}
	wide := wideBlocks.Get().(*[gatherWide]byte)[:]
	copy(wide, g.pending[:g.n])
	giveBack(g.pending)
	g.pending = wide
	return true
}

// giveBack gives a block back, or nil.
func giveBack(block []byte) {
	switch len(block) {
	case gatherBytes:
		gatherBlocks.Put((*[gatherBytes]byte)(block))
	case gatherWide:
		wideTaken.Add(-1)
		wideBlocks.Put((*[gatherWide]byte)(block))
	}
}

// write writes what has been gathered, unless somebody does.
func (g *gathered) write() {
	runtime.Gosched()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.due = false; !g.sending {
		g.rest()
	}
}

// rest writes until nothing is left to be written. The lock is held, as it is for send.
func (g *gathered) rest() {
	for g.n > 0 && g.err == nil {
		block, n := g.pending, g.n
		g.pending, g.n = nil, 0
		g.send(block[:n])
		giveBack(block)
	}
	if g.err != nil {
		giveBack(g.pending)
		g.pending, g.n = nil, 0
	}
	if g.closed && !g.due {
		_ = g.Conn.Close()
	}
}

// send writes without the lock.
func (g *gathered) send(b []byte) {
	g.sending = true
	g.mu.Unlock()
	_, err := g.Conn.Write(b)
	g.mu.Lock()
	g.sending = false
	if g.err = err; err != nil {
		_ = g.SetReadDeadline(time.Unix(1, 0)) // nothing may be written any more that would tell of it
	}
	g.written.Broadcast()
}

// Close implements net.Conn.
func (g *gathered) Close() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	g.written.Broadcast()
	if !g.due && !g.sending {
		return g.Conn.Close()
	}
	_ = g.SetReadDeadline(time.Unix(1, 0))
	return g.SetWriteDeadline(time.Now().Add(time.Second))
}
