package proxy

import (
	"net"
	"runtime"
	"sync"
	"time"
)

// gathered is a connection that writes a moment later what it is given in small pieces: Go's server for HTTP/2 writes the
// head of an answer and its body one after the other, and both for each stream of its own, where one system call can do
// for all that are about to be written. The moment is as long as other goroutines need that can run already: nothing waits
// for a clock.
//
// An error is returned by a later Write, and ends a Read. Close lets what was given be written, for a second at most.
type gathered struct {
	net.Conn

	mu      sync.Mutex
	written sync.Cond // on mu: there is room again, or an error
	pending *[gatherBytes]byte
	n       int  // guarded by mu, as all: how much of pending is to be written
	writing bool // a goroutine is about to write
	closed  bool
	err     error
}

const (
	gatherBytes = 16 << 10
	gatherPiece = 6 << 10 // larger pieces are worth a system call of their own
)

var gatherBlocks = sync.Pool{New: func() any { return new([gatherBytes]byte) }}

func newGathered(c net.Conn) *gathered {
	g := &gathered{Conn: c}
	g.written.L = &g.mu
	return g
}

// Write implements net.Conn.
func (g *gathered) Write(b []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	large := len(b) > gatherPiece
	for g.err == nil && !g.closed && (large && g.writing || !large && g.n+len(b) > gatherBytes) {
		g.written.Wait()
	}
	switch {
	case g.err != nil:
		return 0, g.err
	case g.closed:
		return 0, net.ErrClosed
	case large:
		g.writing = true
		g.send(b)
		g.rest()
		return len(b), g.err
	}
	if g.pending == nil {
		g.pending = gatherBlocks.Get().(*[gatherBytes]byte)
	}
	g.n += copy(g.pending[g.n:], b)
	if !g.writing {
		g.writing = true
		go g.write()
	}
	return len(b), nil
}

// write writes what has been gathered.
func (g *gathered) write() {
	runtime.Gosched()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.rest()
}

// rest writes until nothing is left to be written. The lock is held, as it is for send.
func (g *gathered) rest() {
	for g.n > 0 && g.err == nil {
		block, n := g.pending, g.n
		g.pending, g.n = nil, 0
		g.send(block[:n])
		gatherBlocks.Put(block)
	}
	g.writing = false
	g.written.Broadcast()
	if g.closed {
		_ = g.Conn.Close()
	}
}

// send writes without the lock.
func (g *gathered) send(b []byte) {
	g.mu.Unlock()
	_, err := g.Conn.Write(b)
	g.mu.Lock()
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
	if !g.writing {
		return g.Conn.Close()
	}
	_ = g.SetReadDeadline(time.Unix(1, 0))
	return g.SetWriteDeadline(time.Now().Add(time.Second))
}
