// Package client is who asks: connections of clients.
package client

import (
	"time"

	"github.com/bearerguard/bearerguard/sidecar/proxy/exchange"
	"github.com/bearerguard/bearerguard/sidecar/proxy/head"
	"github.com/bearerguard/bearerguard/sidecar/proxy/loop"
)

// HTTP1 is a client connection that speaks HTTP/1.1.
type HTTP1 struct {
	base
	x     *exchange.Exchange // nil: no request is under way
	acked uint64             // what the client has taken, since it has closed its side

	rest    []byte    // what has come and was not used yet, in this turn
	out     []byte    // a head that is being written
	comes   head.Body // of the request
	fast    exchange.Fast
	skipped int
	phase   phase
	scanned int
	minor   int

	pace    pace
	asked   int // requests
	wrote   int // pieces that the client was sent
	written int // wrote, when it was last looked at

	first    bool // no head has been read yet
	reading  bool // a call of take is under way
	body     bool // of the request: there is more to come
	wanted   bool // the exchange wants it
	keep     bool // the connection goes on after the answer
	chunk    bool // the answer goes in chunks
	unframed bool // the connection's end is to be that of the answer, which goes on
	lent     bool // a tunnel has it
	flushes  bool // it ends once all has been written
	crammed  bool // no request is read until all has been written
	clears   bool // it ends once it is found idle
	blank    bool // an empty line has been ignored
}

// phase is what is expected of the client.
type phase uint8

const (
	phaseFresh  phase = iota // its first byte
	phaseIdle                // the next request
	phaseHead                // the rest of a head
	phaseBusy                // nothing, or the body
	phaseSkip                // the rest of a body that nobody wants
	phaseLinger              // its end
)

// maxSkip bounds a body that is read to no end so that the connection can go on, in bytes.
const maxSkip = 64 << 10

// NewHTTP1 serves a connection.
func NewHTTP1(conn *loop.Conn, of *exchange.Conn, owner Owner) *HTTP1 {
	c := &HTTP1{base: base{host: of.Host, conn: conn, of: of, owner: owner}, first: true}
	c.self, c.timer = c, loop.Timer{Do: c.wake, Of: conn}
	conn.Handle(c)
	if c.enter(phaseFresh); c.host.Closing && !of.Info.Secure { // over TLS, the first request comes behind the handshake
		c.Clear(true)
	}
	return c
}

// Clear implements exchange.Member. A request that has come is answered, also if nobody has looked at it yet.
func (c *HTTP1) Clear(fresh bool) {
	switch {
	case c.owner == nil:
	case c.phase == phaseIdle && c.conn.Queued() > 0:
		c.crammed, c.clears = true, true
	case c.phase == phaseIdle, fresh && c.phase == phaseFresh:
		c.clears = true
		c.conn.Look()
	}
}

// Rests implements exchange.Member.
func (c *HTTP1) Rests() time.Duration {
	if c.phase != phaseIdle || c.owner == nil || c.clears || c.conn.Queued() > 0 {
		return 0
	}
	return c.host.Rested(&c.timer)
}

// Drained implements loop.Handler.
func (c *HTTP1) Drained(*loop.Conn) {
	c.takes()
	switch {
	case c.x != nil && c.conn.HasRoom():
		c.x.ClientTakes()
	case c.x != nil: // it is asked again
	case c.flushes:
		c.parts()
	case c.crammed:
		c.crammed = false
		c.next()
	}
}

// turn is how many pieces of what has come are taken before others have their turn. Sixteen requests count as one.
const turn = 16

// Readable implements loop.Handler.
func (c *HTTP1) Readable(conn *loop.Conn) {
	before := c.asked
	for pieces := 0; !conn.Closed() && c.owner != nil; pieces++ {
		if c.phase == phaseBusy && !c.wanted {
			if !c.flushes {
				c.looks(conn.Side())
			}
			return
		}
		if pieces+(c.asked-before)/turn >= turn {
			conn.Again()
			return
		}
		if c.splices() {
			if !c.splice() {
				return
			}
			continue
		}
		if c.crams() {
			return
		}
		b, err := conn.ReadMost(c.most())
		if len(b) > 0 {
			c.fast.Read(len(b))
			c.take(b)
			continue
		}
		switch {
		case err != nil:
			c.ends(err)
		case c.clears && (c.phase == phaseIdle || c.phase == phaseFresh):
			c.clear()
		}
		return
	}
}

// most is how much is read at a time. The first read of a connection is a large one: with a small one, all bodies of 1 MiB that came by the
// connection cost up to a third more in some runs of bench-proxy.
func (c *HTTP1) most() int {
	if c.phase == phaseIdle {
		return loop.MediumBlock // the rest of a large body need not be copied
	}
	return loop.LargeBlock
}

// crams reports whether the client has yet to take answers before its next request is read.
func (c *HTTP1) crams() bool {
	if c.phase == phaseIdle && c.Full() {
		c.crammed = true
	}
	return c.crammed
}

// take takes what has come.
func (c *HTTP1) take(b []byte) {
	c.in.Feed(b, func(b []byte) int {
		c.rest = b
		c.serve()
		left := len(c.rest)
		if c.rest = nil; c.conn.Closed() || c.owner == nil {
			return len(b)
		}
		return len(b) - left
	})
}

// serve goes on as far as it can with what has come.
func (c *HTTP1) serve() {
	c.reading = true
	defer func() { c.reading = false }()
	for len(c.rest) > 0 && !c.conn.Closed() && c.owner != nil {
		had := len(c.rest)
		switch c.phase {
		case phaseBusy, phaseSkip:
			if c.phase == phaseBusy && !c.wanted {
				return
			}
			c.more()
		case phaseLinger:
			n := len(c.rest)
			c.rest = nil
			c.lingers(n)
		default:
			if c.crams() {
				return
			}
			c.begin()
		}
		if len(c.rest) == had {
			return
		}
	}
}
