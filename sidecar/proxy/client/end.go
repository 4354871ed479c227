package client

import (
	"io"

	"github.com/bearerguard/bearerguard/sidecar/proxy/loop"
)

func (c *HTTP1) close() {
	if c.conn.Closed() && c.owner == nil {
		return
	}
	if x := c.x; x != nil {
		if c.keep = false; c.unframed {
			c.conn.Reset() // else the client takes what it has for all of the answer
		}
		x.ClientGone()
	}
	c.end()
}

// looks is for a client that waits: it may have gone.
func (c *HTTP1) looks(s loop.Ready) {
	switch {
	case s&loop.Gone != 0:
		c.close()
	case s != 0:
		c.written = c.wrote
		c.host.Loop.Set(&c.timer, halfClosed)
	}
}

// ends is for a client that sends no more.
func (c *HTTP1) ends(err error) {
	if c.x != nil && c.wanted && err == io.EOF { //nolint:errorlint // as Read documents
		c.want(false)
		c.keep = false
		c.x.BodyBreaks(io.ErrUnexpectedEOF)
		return
	}
	if c.x == nil && err == io.EOF { //nolint:errorlint // as above
		c.finishes()
		return
	}
	c.close()
}

// Done implements exchange.Client.
func (c *HTTP1) Done() {
	c.want(false)
	c.x = nil
	switch {
	case c.conn.Closed():
		c.end()
	case c.lent:
		c.conn.Handle(c)
		c.finishes()
	case !c.keep && !c.body && c.in.Len() == 0:
		c.finishes()
	case !c.keep:
		c.linger()
	case c.body:
		c.skipped = 0
		c.enter(phaseSkip)
		c.resume()
	default:
		c.next()
	}
}

// next waits for the next request. A connection whose answer was under way when clients were asked to go ends here, unless one has come.
func (c *HTTP1) next() {
	c.enter(phaseIdle)
	c.clears = c.host.Leaving()
	c.crammed = c.clears && c.conn.Queued() > 0
	c.resume()
}

// resume goes on with what has come already.
func (c *HTTP1) resume() {
	if c.reading {
		return
	}
	if c.in.Len() > 0 {
		c.take(nil)
	}
	c.conn.Again()
}

// clear ends a connection on which nothing is asked.
func (c *HTTP1) clear() {
	if c.conn.Owes() {
		c.linger()
		return
	}
	c.end()
}

// finishes ends the connection once all has been written.
func (c *HTTP1) finishes() {
	if c.conn.Flush(); c.conn.Queued() == 0 {
		c.parts()
		return
	}
	c.flushes = true
	c.enter(phaseBusy)
	c.watch()
}

// parts ends a connection on which all has been written. What is not read of it, or comes still, would have the kernel drop what the
// client has yet to take.
func (c *HTTP1) parts() {
	switch c.flushes = false; {
	case c.phase == phaseLinger && c.takesOn():
	case c.phase == phaseLinger || c.conn.Side()&loop.Gone != 0:
		c.end()
	default:
		c.linger()
	}
}

func (c *HTTP1) linger() {
	c.rest, c.phase = nil, phaseLinger
	c.base.linger()
}
