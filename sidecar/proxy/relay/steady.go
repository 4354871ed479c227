package relay

import "github.com/bearerguard/bearerguard/sidecar/proxy/head"

// steady serves requests as long as they are simple: complete with the bytes that have come, without anything that
// makes the connection more than question and answer. It reports whether the connection goes on; what it is not for is
// then in the buffer. The error is nil or errParked.
//
// All of that happens within one wait for the client's bytes. The runtime learns of bytes by edges, and a new wait would
// forget those that came before; so a wait has to begin with a try to read, which mostly finds nothing. Within one wait
// nothing is forgotten, and a request costs five system calls: a read and a write on each side, and a look at whether the
// app has said something unasked.
//
// Before it writes, on one processor, a request lets the others go first that have something to read. So writes follow each other closely, and
// whom they are for need not be woken for each: a neighbour that has fallen asleep between two of them is a large part of
// what a small request costs.
func (c *conn) steady() (again bool, err error) {
	c.inside, c.resting = true, false
	err = c.in.raw.Read(c.step)
	c.inside = false
	err = c.in.settle(err)
	switch {
	case c.waiting != nil:
		return false, errParked
	case err == errParked && c.answer == nil: //nolint:errorlint // our own
		c.seeking = seeking{begun: true, phase: phaseIdle}
		return false, err
	}
	return (err == nil || err == errParked) && !c.over, nil //nolint:errorlint // our own
}

// served is called when bytes may have come. It returns false to wait for more.
func (c *conn) served(fd uintptr) (leave bool) {
	if !c.finish(fd) {
		return true
	}
	if !c.resting && !c.relax() {
		return true
	}
	for {
		if !c.in.once(fd) {
			return false
		}
		if c.in.err != nil || c.in.n == 0 {
			c.over = true
			return true
		}
		drained := c.in.drained
		if !c.serveSimple() || !c.finish(fd) || c.in.buf.len() > 0 {
			return true
		}
		c.in.buf.release()
		if !c.relax() {
			return true
		}
		if drained {
			return false
		}
	}
}

// relax notes that a request is waited for, which must not be before the last answer is out: who waits may be ended at any
// time. It reports whether the connection goes on.
func (c *conn) relax() bool {
	c.resting = true
	c.over = !c.enter(phaseIdle)
	return !c.over
}

// finish writes the end of an answer if that can be done at once.
func (c *conn) finish(fd uintptr) bool {
	if c.answer == nil {
		return true
	}
	c.relay.yield()
	n, err := writeSome(fd, c.answer)
	if err != nil {
		c.over = true
	}
	if n < len(c.answer) {
		c.answer = append(c.answer[:0], c.answer[n:]...)
		return false // the rest is for flush, which can wait
	}
	drop(c.answer)
	c.answer = nil
	return true
}

// serveSimple serves the request in the buffer if it is complete and simple. It returns false if it is not, or if no other
// may follow.
func (c *conn) serveSimple() bool {
	n := head.End(c.in.buf.bytes(), 0)
	if n == 0 {
		return false
	}
	x := newExchange(c)
	simple := x.simple(n)
	if simple {
		c.over = !x.run(n)
	}
	if x.parked != nextEnd {
		c.waiting, c.over = x, false
		return false
	}
	x.release()
	return simple && !c.over
}

// simple reports whether the request whose head is the first n bytes in the buffer is one that steady is for.
func (x *exchange) simple(n int) bool {
	c, r := x.c, &x.req
	l := &c.relay.Limits
	if head.ParseRequest(c.in.buf.bytes()[:n], l.Head, r) != nil || l.Target > 0 && len(r.Target) > l.Target {
		return false
	}
	return r.Minor == 1 && r.KeepAlive && !r.Chunked && !r.Expect && len(r.Upgrade) == 0 && r.Length <= int64(c.in.buf.len()-n)
}
