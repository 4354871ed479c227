package relay

import (
	"net"
	"net/http"
	"time"
)

// enter notes what the call does from now on. It returns false if it has been ended.
func (c *call) enter(p phase) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.phase, c.since = p, c.h.relay.tick.Load()
	return c.end == endNot
}

func (c *call) ending() ending {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.phase = phaseBusy
	return c.end
}

func (c *call) endAt(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.until = t.UnixNano()
}

// hold gives the call a connection to the app.
func (c *call) hold(u *upstream) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.up = u
	if c.end != endNot {
		return net.ErrClosed
	}
	return nil
}

// let takes the connection to the app from the call, unless the call has been ended.
func (c *call) let() *upstream {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.end != endNot {
		return nil
	}
	u := c.up
	c.up = nil
	return u
}

// discard closes the connection to the app.
func (c *call) discard() {
	c.mu.Lock()
	u := c.up
	c.up, c.phase = nil, phaseBusy
	c.mu.Unlock()
	if u != nil {
		u.discard()
	}
}

// cancel ends the call: its client is gone.
func (c *call) cancel() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expire(endNow)
}

// look is the sweep's. It reports whether nothing happens.
func (c *call) look(now int64, every time.Duration) (idle bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.end != endNot {
		return false
	}
	l, age := &c.h.relay.Limits, time.Duration(now-c.since)
	switch {
	case c.r.Context().Err() != nil, c.until != 0 && now > c.until, c.phase == phaseWriting && l.Write > 0 && age > l.Write:
		c.expire(endNow)
	case c.phase == phaseWaiting && l.Response > 0 && age > l.Response:
		c.expire(endAnswer)
	case c.body.slow(l, every):
		c.expire(endBodyRate)
	}
	return c.end == endNot && c.phase != phaseBusy && age > time.Second
}

// expire ends what the call waits for. The lock is held.
func (c *call) expire(why ending) {
	if c.end == endNot {
		c.end = why
	}
	if c.up != nil {
		c.up.abort()
	}
	if c.gathering {
		_ = http.NewResponseController(c.w).SetReadDeadline(past)
	}
	if c.phase == phaseWriting { // the stream is reset, which ends the writing
		_ = http.NewResponseController(c.w).SetWriteDeadline(past)
	}
}
