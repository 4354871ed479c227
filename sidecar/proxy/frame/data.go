package frame

// reading is a frame that comes in pieces: DATA, or one of a type that is ignored, which is nothing but padding.
type reading struct {
	id   uint32 // 0: nobody wants it
	left int    // bytes that have still to come
	pad  int    // of them at the end
	end  End
}

// begin takes the header of a frame that may come in pieces, and the length of its padding. It returns the bytes taken, 0 if there are too few.
func (c *Conn) begin(f header, p []byte) int {
	if f.typ != typeData { // section 5.5: unknown types are ignored
		c.spend()
		c.now = reading{left: f.length, pad: f.length}
		return frameHead
	}
	taken, pad := frameHead, 0
	if f.has(flagPadded) {
		switch taken++; {
		case f.length == 0:
			c.fail(errFrameLength)
			return 0
		case len(p) < taken:
			return 0
		}
		if pad = int(p[frameHead]); pad >= f.length {
			c.fail(errPadding)
			return 0
		}
	}
	if c.recv -= int64(f.length); c.recv < 0 {
		c.fail(errConnWindow)
		return 0
	}
	n := f.length - (taken - frameHead) - pad
	c.now = reading{id: f.id, left: n + pad, pad: pad, end: End(f.has(flagEnd))}
	if !c.takes(f, n) {
		c.now.id = 0
	}
	c.takePadding(int64(f.length - n))
	if n == 0 { // the frame may end the stream all the same
		if c.now.id != 0 && !bool(c.now.end) {
			c.spend()
		}
		c.deliver(nil, c.now.end)
	}
	return taken
}

// takes reports whether a frame of n bytes of DATA is for somebody. They are held against the content-length before any of them is handed on:
// whether they come in pieces makes no difference.
func (c *Conn) takes(f header, n int) bool {
	st := c.find(f.id)
	switch {
	case st == nil:
		c.stray(f.id, int64(f.length))
		return false
	case bool(st.received):
		c.refuse(f.id, errHalfClosed)
		return false
	case c.client && !st.final:
		c.refuse(f.id, errNoHead)
		return false
	}
	if st.recv -= int64(f.length); st.recv < 0 {
		c.refuse(f.id, errWindow)
		return false
	}
	if st.left >= 0 {
		if st.left -= int64(n); st.left < 0 || f.has(flagEnd) && st.left > 0 {
			c.refuse(f.id, errLength)
			return false
		}
	}
	return true
}

// takePadding gives back the window that n bytes of padding took.
func (c *Conn) takePadding(n int64) {
	if st := c.find(c.now.id); st != nil {
		c.give(st, n)
	}
	c.credit(n)
}

// proceed takes a piece of a frame.
func (c *Conn) proceed(p []byte) int {
	r := &c.now
	if r.left <= r.pad {
		n := min(len(p), r.left)
		r.left -= n
		return n
	}
	n := min(len(p), r.left-r.pad)
	r.left -= n
	c.deliver(p[:n], r.end && r.left == r.pad)
	return n
}

// deliver hands on a piece of a body.
func (c *Conn) deliver(p []byte, end End) {
	st := c.find(c.now.id)
	if st == nil || len(p) == 0 && !bool(end) {
		c.credit(int64(len(p)))
		return
	}
	st.held += int64(len(p))
	if len(p) > 0 {
		c.earn()
	}
	if end {
		c.receivedAll(st)
	}
	c.h.Data(c.now.id, p, end)
}

// Took says that n bytes of a stream's DATA have been passed on, so that the peer may send more. The peer is told once it
// is worth a frame.
func (c *Conn) Took(id uint32, n int) {
	if st := c.find(id); st != nil && c.err == nil {
		k := min(int64(n), st.held)
		lent := min(k, st.lent)
		st.held, st.lent, c.lent = st.held-k, st.lent-lent, c.lent-lent
		c.give(st, k)
		c.credit(k - lent)
	}
}

// mostLent bounds what Lend opens the window of a connection for, of all streams together, in bytes.
const mostLent = 1 << 20

// Lend opens the connection's window for a stream's DATA that has come, although Took was not told of it, so that other streams
// go on: the stream's own window bounds it then.
func (c *Conn) Lend(id uint32) {
	if st := c.find(id); st != nil && c.err == nil {
		c.lend(st)
	}
}

// LendAll is Lend for all streams.
func (c *Conn) LendAll() {
	for st := range c.streams.all {
		if c.err == nil {
			c.lend(st)
		}
	}
}

func (c *Conn) lend(st *stream) {
	n := min(st.held-st.lent, mostLent-c.lent)
	st.lent, c.lent = st.lent+n, c.lent+n
	c.credit(n)
}

// Shut reports whether the peer can send DATA of no stream: what has come is held, and takes all of the connection's window. Took and Lend open it.
func (c *Conn) Shut() bool { return c.recv <= 0 }

// give opens the window of a stream.
func (c *Conn) give(st *stream, n int64) {
	st.pending += n
	if w := int64(c.cfg.Window); !bool(st.received) && st.pending > 0 && st.pending >= (w+1)/2 {
		c.writeUpdate(st.id, st.pending)
		st.recv += st.pending
		st.pending = 0
	}
}

// credit opens the connection's window. The peer is told once it is worth a frame, or has no more left than that: the rest of the window may be that
// of streams of which nobody takes anything.
func (c *Conn) credit(n int64) {
	if c.pending += n; c.err == nil && c.pending > 0 && c.pending >= min(int64(c.cfg.ConnWindow)/2, c.recv) {
		c.writeUpdate(0, c.pending)
		c.recv += c.pending
		c.pending = 0
	}
}

func (c *Conn) readUpdate(id uint32, n int64) {
	if n >= tidbit && n <= c.owed { // who gives back what was sent has taken it
		c.owed -= n
	} else {
		c.spend()
	}
	st, window := c.find(id), &c.window
	switch {
	case st != nil:
		window = &st.window
	case id != 0 && c.idle(id):
		c.fail(errIdle)
		return
	case id != 0: // section 5.1: it can be on its way when a stream ends
		return
	}
	switch *window += n; {
	case n == 0:
		c.breach(id, errUpdate)
	case *window > maxWindow:
		c.breach(id, errOverflow)
	case st != nil:
		c.schedule(st)
	}
}
