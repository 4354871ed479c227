package loop

import (
	"errors"
	"os"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// Write writes b, and queues what the kernel does not take at once. A write that fails is told to Handler.Failed, later.
//
// The queue has no bound of its own: who writes stops when Queued is not 0, until Drained.
func (c *Conn) Write(b []byte) {
	switch {
	case c.drops() || len(b) == 0:
	case c.tls != nil:
		c.tls.write(b)
	default:
		c.put(b)
	}
}

// Cork has what is written in this turn be queued, and go out at its end in as few calls as it takes.
func (c *Conn) Cork() { c.turn(corked) }

// Compose returns room at the end of what is queued, to be appended to: Commit queues it. It goes out when the turn ends, with whatever
// else has been written by then. Nothing else may be written between the two. There is room for n bytes at least; more is allocated.
func (c *Conn) Compose(n int) []byte {
	c.Cork()
	if c.tls != nil || c.drops() {
		return c.loop.scratch[:0]
	}
	return c.out.Free(n)[:0]
}

// What is composed, as a rule, in bytes.
const (
	HeadRoom  = 2 << 10 // a head
	FrameRoom = 32      // what goes before a piece of a body, or behind it
)

// Commit queues what was appended to what Compose has returned.
func (c *Conn) Commit(b []byte) {
	if c.drops() {
		return
	}
	if c.tls != nil {
		c.tls.write(b)
		return
	}
	if free := c.out.Free(0); len(b) > 0 && len(free) >= len(b) && &free[0] == &b[0] {
		c.out.Added(len(b))
		return
	}
	c.out.Append(b)
}

// drops reports whether what is written goes nowhere.
func (c *Conn) drops() bool { return c.Closed() || c.state&failed != 0 }

// Writes reports whether what is written may still get to the peer.
func (c *Conn) Writes() bool { return !c.drops() }

// Queued is how many bytes are to be written still.
func (c *Conn) Queued() int {
	if c.pipe != nil {
		return c.pipe.held + c.out.Len()
	}
	return c.out.Len()
}

// put is Write below TLS.
func (c *Conn) put(b []byte) {
	queued := c.Queued()
	if c.state&(connecting|failed) == 0 && (c.state&corked == 0 || c.out.Len()+len(b) > MediumBlock) {
		c.flushQueue()
	}
	if c.state&failed != 0 {
		return
	}
	if c.Queued() == 0 && c.state&connecting == 0 && (c.state&corked == 0 || len(b) > MediumBlock) {
		n, err := c.some(b)
		if err != nil {
			c.fail(err)
			return
		}
		b = b[n:]
	}
	c.out.Append(b)
	c.tellDrained(queued)
}

// tellDrained has the handler be told, in a turn of its own, if all has gone out of which some had been queued.
func (c *Conn) tellDrained(queued int) {
	if queued > 0 && c.Queued() == 0 {
		c.state |= draining
		c.Cork()
	}
}

// some writes what the kernel takes of b.
func (c *Conn) some(b []byte) (int, error) {
	n, errno := send(int(c.fd), b)
	if errno == syscall.EAGAIN {
		n, errno = 0, 0
	}
	if errno != 0 {
		return 0, os.NewSyscallError("write", errno)
	}
	if n > 0 {
		c.state |= wrote
	}
	return n, nil
}

// Mark is for what is written from now on, of which Unsent tells.
func (c *Conn) Mark() {
	if c.Queued() == 0 {
		c.state &^= wrote
	}
}

// Unsent reports whether all that was written since Mark is queued still, so that Move can give it to another connection.
func (c *Conn) Unsent() bool {
	return c.state&wrote == 0 && c.out.Len() > 0 && c.pipe == nil && c.tls == nil
}

// Move gives what is queued to another connection, on which nothing is.
func (c *Conn) Move(to *Conn) { to.out, c.out = c.out, Buffer{} }

// Owes reports whether the peer has yet to take some of what was written.
func (c *Conn) Owes() bool {
	if c.Closed() || c.Queued() == 0 && c.owed() == 0 {
		return false
	}
	_, more := c.Taken()
	return more
}

// HasRoom reports whether to read what comes next for the peer, which Handler.Drained asks when all has been written. Where much is held for slow peers
// already, the kernel must be ready to take it; if it is not, Drained is called again once it is. So who reads nothing has nothing queued either.
func (c *Conn) HasRoom() bool {
	if Room() == LargeBlock || c.Closed() || c.accepts() {
		return true
	}
	c.state |= draining
	return false
}

// Flush writes what is queued, as far as the kernel takes it, and does not wait for the end of the turn.
func (c *Conn) Flush() {
	if !c.Closed() && c.state&(failed|connecting) == 0 {
		c.flushQueue()
	}
}

// flush writes what is queued.
func (c *Conn) flush() {
	if c.state&(failed|connecting) != 0 {
		return
	}
	if c.Queued() == 0 && c.state&draining == 0 || !c.flushQueue() {
		return
	}
	c.state &^= draining
	switch {
	case c.state&ending != 0:
		c.Close()
		return
	case c.state&shutting != 0:
		c.shut()
	}
	c.handler.Drained(c)
}

// flushQueue writes what is queued as far as the kernel takes it. It reports whether that was all.
func (c *Conn) flushQueue() bool {
	if c.pipe != nil && !c.flushPipe() {
		return false
	}
	if c.out.Len() == 0 {
		return true
	}
	n, err := c.some(c.out.Bytes())
	if err != nil {
		c.fail(err)
		return false
	}
	if c.out.Take(n); c.out.Len() > 0 {
		return false
	}
	c.out.Drop()
	if c.tls != nil {
		c.tls.below.unread = 0
	}
	return true
}

// fail notes that the peer takes no more. The handler is told in a turn of its own: it may be in the middle of something.
func (c *Conn) fail(err error) {
	if c.state |= failed; !errors.Is(err, syscall.EPIPE) { // which alone leaves the peer's end as it was
		c.state |= reset
	}
	c.out.Drop()
	c.dropPipe()
	c.later(func() {
		if c.Closed() {
			return
		}
		c.state |= readable // the peer may have said something before
		if c.handler.Failed(c, err); c.state&spoken == 0 {
			c.Close()
		}
	})
}

// ReadOn is for Handler.Failed, with its error. It keeps the connection open for what the peer has said before it took no more: Readable is called, up to the
// end that Read finds behind that, and what is written is dropped. It returns false if the connection may go on for the peer, which then would wait for what
// is dropped: if it was no write that has failed, or for want of memory.
func (c *Conn) ReadOn(err error) bool {
	if no, _ := errors.AsType[syscall.Errno](err); !slices.Contains(ends, no) {
		return false
	}
	c.state |= spoken
	c.Again()
	return true
}

// ends are the errors of writing that tell of a connection's end.
var ends = []syscall.Errno{syscall.EPIPE, syscall.ECONNRESET, syscall.ETIMEDOUT, syscall.EHOSTUNREACH, syscall.ENETUNREACH}

// later runs something of the connection's in the next turn.
func (c *Conn) later(do func()) { c.loop.Post(func() { c.Guard(do) }) }

// CloseWrite tells the peer that no more comes, once all has been written.
func (c *Conn) CloseWrite() {
	if c.Closed() {
		return
	}
	if c.tls != nil {
		c.tls.closeWrite()
	}
	if c.Queued() > 0 {
		c.state |= shutting
		return
	}
	c.shut()
}

func (c *Conn) shut() { _ = unix.Shutdown(int(c.fd), unix.SHUT_WR) } // the peer may be gone

// End closes the connection once all has been written.
func (c *Conn) End() {
	if c.Queued() == 0 {
		c.Close()
		return
	}
	c.state |= ending
}
