package client

import (
	"time"

	"github.com/bearerguard/bearerguard/sidecar/proxy/exchange"
	"github.com/bearerguard/bearerguard/sidecar/proxy/loop"
)

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
	case phaseLinger:
		d = lingerSilent
	case phaseBusy:
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
	case c.phase == phaseLinger && c.conn.Owes(): // it has yet to read its answer, in the time that stalls gives it
		c.enter(phaseLinger)
	case c.phase != phaseBusy:
		c.close()
	case c.wanted:
		if c.pace.slow(&c.timer, c.host) {
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
	if taken, _ := c.conn.Taken(); c.wrote != c.written || taken != c.acked {
		c.written, c.acked = c.wrote, taken
		c.host.Loop.Set(&c.timer, halfClosed)
		return
	}
	c.close()
}

// stalls ends a connection whose client takes nothing of what it is sent.
func (c *HTTP1) stalls() {
	if taken, more := c.conn.Taken(); c.stall.over(c.host, taken, more) {
		c.keep = false
		c.conn.Reset()
		c.close()
	}
}

// stall bounds the time in which a client takes nothing of what it is sent.
type stall struct {
	loop.Timer
	exchange.Stall
}

// begin has it be looked at, if that is not so already: more to be taken gives the client no more time.
func (s *stall) begin(h *exchange.Host) {
	if d := h.Limits.Write; d > 0 && !s.On() {
		s.Begin()
		h.Loop.Set(&s.Timer, d/exchange.Looks)
	}
}

// over reports whether the client's time is up, by how much it has taken. If it is not, and there is more to be taken, it is looked at again.
func (s *stall) over(h *exchange.Host, taken uint64, more bool) bool {
	over := s.Over(taken) && more
	if more && !over {
		h.Loop.Set(&s.Timer, h.Limits.Write/exchange.Looks)
	}
	return over
}
