package client

import (
	"github.com/bearerguard/bearerguard/sidecar/proxy/exchange"
	"github.com/bearerguard/bearerguard/sidecar/proxy/frame"
	"github.com/bearerguard/bearerguard/sidecar/proxy/head"
)

// want notes whether the body is waited for.
func (c *HTTP1) want(is bool) {
	if is == c.wanted {
		return
	}
	c.wanted = is
	c.pace.wait(is, 0, &c.timer, c.host)
}

// begin begins the next request if its head is complete.
func (c *HTTP1) begin() {
	b := c.rest
	if !c.blank && len(b) >= 2 && string(b[:2]) == "\r\n" {
		c.rest, c.blank = b[2:], true // one empty line is ignored (RFC 9112 section 2.2)
		return
	}
	preface := c.first && isPreface(b)
	if preface && len(b) >= len(frame.Preface) {
		c.handOver(b)
		return
	}
	n := 0
	if !preface {
		n = head.End(b, c.scanned)
	}
	if n == 0 {
		c.waits(b, preface)
		return
	}
	c.scanned, c.blank, c.first = 0, false, false
	c.open(b, n)
}

// waits is for a head that is not complete.
func (c *HTTP1) waits(b []byte, preface bool) {
	if c.phase != phaseHead {
		c.enter(phaseHead)
	}
	if preface {
		return
	}
	if f := head.ForeignOf(b); c.first && f != "" {
		c.reject(f)
		return
	}
	if err := head.Check(b, c.scanned, c.host.Limits.Head); err != nil {
		c.reject(err)
		return
	}
	if !c.of.HoldsHead(exchange.HeadSize(len(b))) {
		c.reject(head.ErrCrowded)
		return
	}
	c.scanned = len(b)
}

// open opens an exchange for the request whose head is the first n bytes of b.
func (c *HTTP1) open(b []byte, n int) {
	x := c.asks(b[n:])
	if err := c.parse(x.Own(b[:n]), &x.Req); err != nil {
		x.Reject(err)
		return
	}
	r := &x.Req
	c.minor, c.keep = r.Minor, r.KeepAlive && !c.host.Draining
	c.comes.Begin(&r.Message)
	c.body, c.wanted = c.comes.Left > 0, false
	c.pace = pace{}
	c.fast.Begin(r.Length)
	x.Begin()
}

// parse reads a head. An error says what else it is, if that is known.
func (c *HTTP1) parse(b []byte, r *head.Request) error {
	if err := head.ParseRequest(b, c.host.Limits.Head, r); err != nil {
		if f := head.ForeignOf(b); f != "" {
			return f
		}
		return err
	}
	if l := c.host.Limits.Target; l > 0 && len(r.Target) > l {
		return head.ErrTarget
	}
	return nil
}

// isPreface reports whether the bytes are the start of HTTP/2's preface, as far as there are any.
func isPreface(b []byte) bool {
	n := min(len(b), len(frame.Preface))
	return string(b[:n]) == frame.Preface[:n]
}

// handOver gives the connection to who speaks HTTP/2.
func (c *HTTP1) handOver(b []byte) {
	c.host.Loop.Stop(&c.timer)
	owner := c.owner
	c.owner, c.rest = nil, nil
	owner.HTTP2(b)
	c.in.Drop()
}

// asks begins an exchange, of which no more is known than what comes behind its head.
func (c *HTTP1) asks(rest []byte) *exchange.Exchange {
	c.x, c.rest, c.keep, c.minor = c.of.New(c), rest, false, 1
	c.asked++
	c.enter(phaseBusy)
	return c.x
}

// reject refuses what is no head.
func (c *HTTP1) reject(err error) { c.asks(nil).Reject(err) }

// Want implements exchange.Client.
func (c *HTTP1) Want() {
	c.want(c.body)
	if c.wanted {
		c.resume()
	}
}

// more takes a piece of the body, or what is behind it.
func (c *HTTP1) more() {
	b := c.rest
	kept, used, err := c.comes.Take(b, c.host.Limits.Head)
	if err == nil && used == 0 && !c.of.HoldsHead(exchange.HeadSize(len(b))) {
		err = head.ErrCrowded
	}
	if err != nil {
		c.breaks(err)
		return
	}
	c.rest = b[used:]
	c.piece(b[:kept])
}

// piece passes a piece of the body on.
func (c *HTTP1) piece(p []byte) {
	if c.x != nil && len(p) > 0 {
		c.pace.came += int64(len(p))
		more := c.x.Body(p)
		if c.x != nil && c.body {
			c.want(more)
		}
	}
	if c.phase == phaseSkip {
		if c.skipped += len(p); c.skipped > maxSkip {
			c.linger()
			return
		}
	}
	if c.comes.Left == 0 {
		c.whole()
	}
}

// whole is for a body that has ended.
func (c *HTTP1) whole() {
	c.body = false
	c.of.HoldsHead(0)
	c.want(false)
	if c.phase == phaseSkip {
		c.next()
		return
	}
	if c.x != nil {
		c.x.BodyEnds(c.comes.Trailers)
	}
}

// breaks is for a body that cannot be read.
func (c *HTTP1) breaks(err error) {
	c.want(false)
	c.of.HoldsHead(0)
	c.rest, c.body, c.keep = nil, true, false
	if c.x == nil {
		c.linger()
		return
	}
	c.x.BodyBreaks(err)
}

// skippable reports whether what is to come of the body may be short enough to be read to no end: not if much has come already of one
// whose length nobody knows. One that is held back may never come.
func (c *HTTP1) skippable(x *exchange.Exchange) bool {
	return !x.Req.Expect && (c.comes.Left <= maxSkip || c.comes.Chunked && c.pace.came < maxSkip)
}
