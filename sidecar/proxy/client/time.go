package client

import "time"

// enter notes what is expected, and how long.
func (c *HTTP1) enter(p phase) {
	l := &c.host.Limits
	if c.phase = p; p != phaseHead && p != phaseSkip { // of a body's trailers there may be some
		c.of.HoldsHead(0)
	}
	d := time.Duration(0)
	switch p {
	case phaseFresh:
		d = c.host.Within(l.ReadHead)
	case phaseHead, phaseSkip:
		d = l.ReadHead
	case phaseIdle:
		d = l.Idle
	case phaseBusy, phaseLinger:
	}
	if d == 0 {
		c.timer.Rest()
		return
	}
	c.host.Loop.Set(&c.timer, d)
}

// wake is called when the client's time is up.
func (c *HTTP1) wake() {
	switch {
	case c.phase == phaseIdle && c.conn.Queued() > 0: // it is busy with the last answer
		c.enter(phaseIdle)
	case c.phase == phaseLinger:
		c.silent()
	case c.phase != phaseBusy:
		c.clear()
	case c.wanted:
		if c.pace.slow(0, &c.timer, c.host) {
			c.body, c.wanted, c.keep = true, false, false
			c.x.BodySlow()
		}
	default:
		c.leaves()
	}
}

// halfClosed is how long a client that has closed its side is taken to wait for more.
const halfClosed = 2 * time.Second

// leaves ends a request whose client has closed its side, and which nothing could be sent to for a while: nobody can tell it from one
// that has gone.
func (c *HTTP1) leaves() {
	if c.conn.Side() == 0 || c.flushes {
		return
	}
	if taken, owes := c.conn.Taken(); owes || c.wrote != c.written || taken != c.acked {
		if owes {
			c.base.watch() // which bounds how long it takes nothing
		}
		c.written, c.acked = c.wrote, taken
		c.host.Loop.Set(&c.timer, halfClosed)
		return
	}
	c.close()
}
