package loop

import "errors"

// ErrCopy says that bytes cannot go from one connection to another without being copied to this process.
var ErrCopy = errors.New("the bytes have to be copied")

// Splice writes what has come on another connection of the loop, up to most bytes, without copying it to this process (splice(2)). Where
// before is not nil it appends what is to be written before n bytes.
//
// It returns how many bytes there were, none if none have come, and the error of reading them: io.EOF at the end of that connection.
// With more false the connection has yet to take what it was given, and nothing is read until it is asked after Handler.Drained.
// With ErrCopy nothing has happened: one of the two has TLS, there is no pipe to be had, now, or writing has failed.
//
// The bytes that the kernel does not take at once count as Queued. They lie in a pipe, which nobody has while there are none.
func (c *Conn) Splice(from *Conn, most int64, before func(b []byte, n int) []byte) (n int, more bool, err error) {
	if more, err = c.takes(from); !more || err != nil {
		return 0, more, err
	}
	if from.state&readable == 0 || from.Closed() {
		return 0, true, nil
	}
	p := c.loop.pipes.grab(c.loop)
	if p == nil {
		return 0, true, ErrCopy
	}
	if n, err = p.fill(from, int(min(most, 1<<30))); n == 0 {
		c.loop.pipes.drop(c.loop, p)
		return 0, true, err
	}
	if before != nil {
		c.Commit(before(c.Compose(FrameRoom), n))
	}
	c.pipe, c.ahead = p, uint32(c.out.Len()) //nolint:gosec // blocks are small
	return n, c.flushQueue(), nil
}

// takes reports whether the connection can be given what comes from another one now, or else will tell of that by Drained.
func (c *Conn) takes(from *Conn) (now bool, err error) {
	switch {
	case c.tls != nil || from.tls != nil, c.state&failed != 0: // what it is given then is dropped
		return true, ErrCopy
	case c.Closed():
		return false, nil // the handler is told
	case c.state&connecting != 0 && c.out.Len() == 0:
		return true, ErrCopy // nobody would hear of Drained
	case c.state&connecting != 0:
		return false, nil
	case c.pipe != nil, c.out.Len() > 0 && c.state&corked == 0, c.out.Len() >= MediumBlock:
		return c.flushQueue(), nil
	}
	return true, nil
}

// flushPipe writes what is queued before what the pipe holds, and that, as far as the kernel takes it. It reports whether that was all.
func (c *Conn) flushPipe() bool {
	if c.ahead > 0 {
		n, err := c.some(c.out.Bytes()[:c.ahead])
		if err != nil {
			c.fail(err)
			return false
		}
		c.out.Take(n)
		if c.ahead -= uint32(n); c.ahead > 0 { //nolint:gosec // it is at most that
			return false
		}
		if c.out.Len() == 0 {
			c.out.Drop()
		}
	}
	if err := c.pipe.drain(c); err != nil {
		c.fail(err)
		return false
	}
	if c.pipe.held > 0 {
		return false
	}
	c.dropPipe()
	return true
}

func (c *Conn) dropPipe() {
	if p := c.pipe; p != nil {
		c.pipe, c.ahead = nil, 0
		c.loop.pipes.drop(c.loop, p)
	}
}
