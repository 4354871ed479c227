package client

import (
	"net/http"
	"strconv"

	"github.com/bearerguard/bearerguard/sidecar/proxy/exchange"
	"github.com/bearerguard/bearerguard/sidecar/proxy/head"
	"github.com/bearerguard/bearerguard/sidecar/proxy/loop"
)

// Guard implements exchange.Client.
func (c *HTTP1) Guard(do func()) { c.conn.Guard(do) }

// Continue implements exchange.Client.
func (c *HTTP1) Continue() { c.conn.Write([]byte("HTTP/1.1 100 Continue\r\n\r\n")) }

// Switch implements exchange.Client.
func (c *HTTP1) Switch(x *exchange.Exchange, a *exchange.Answer) *loop.Conn {
	if len(c.rest) > 0 || c.in.Len() > 0 {
		return nil // it may have been meant as a next request, which nobody has judged, or as the new protocol's
	}
	c.status(a)
	a.Fields(c)
	c.Field("Connection", "Upgrade")
	c.conn.Commit(append(c.out, crlf...))
	c.out = nil
	c.timer.Rest()
	c.relax() // it may be set for an earlier answer
	c.keep, c.lent = false, true
	return c.conn
}

// Interim implements exchange.Client.
func (c *HTTP1) Interim(a *exchange.Answer) {
	c.status(a)
	a.Fields(c)
	c.conn.Commit(append(c.out, crlf...))
	c.out = nil
}

func (c *HTTP1) status(a *exchange.Answer) {
	b := append(c.conn.Compose(loop.HeadRoom), "HTTP/1.1 "...)
	if len(a.Text) > 0 {
		if b = append(b, a.Text...); len(a.Text) == len("200") {
			b = append(b, ' ') // RFC 9112 section 4
		}
	} else {
		b = strconv.AppendInt(b, int64(a.Status), 10)
		b = append(append(b, ' '), http.StatusText(a.Status)...)
	}
	c.out = append(b, crlf...)
}

// Head implements exchange.Client.
func (c *HTTP1) Head(x *exchange.Exchange, a *exchange.Answer) {
	if c.body && !(a.Ours() && c.skippable(x)) { // else the rest of the request may be anything
		c.keep = false
	}
	if c.host.Draining {
		c.keep = false
	}
	c.status(a)
	a.Fields(c)
	c.chunk, c.unframed = false, false
	if !a.None && a.Length < 0 {
		if c.minor == 1 {
			c.chunk = true
			c.Field("Transfer-Encoding", "chunked")
		} else {
			c.keep, c.unframed = false, true
		}
	}
	switch {
	case !c.keep:
		c.Field("Connection", "close")
	case c.minor == 0:
		c.Field("Connection", "keep-alive")
	}
	c.conn.Commit(append(c.out, crlf...))
	if c.out = nil; a.None || a.Length == 0 { // else Data does it
		c.watch()
	}
}

// Field implements exchange.Fields.
func (c *HTTP1) Field(name, value string) {
	c.out = head.AppendField(c.out, name, value)
}

var crlf = []byte("\r\n") // read only

// Data implements exchange.Client.
func (c *HTTP1) Data(p []byte) {
	c.wrote++
	defer c.watch()
	if !c.chunk {
		c.conn.Write(p)
		return
	}
	c.conn.Commit(head.AppendChunk(c.conn.Compose(loop.FrameRoom), len(p)))
	c.conn.Write(p)
	c.conn.Write(crlf)
}

// watch bounds the time in which the client takes none of its answer.
func (c *HTTP1) watch() {
	if c.conn.Queued() > 0 {
		c.base.watch()
	}
}

// Finish implements exchange.Client.
func (c *HTTP1) Finish(trailers []head.Field) {
	c.unframed = false
	if !c.chunk {
		return
	}
	c.out = append(c.conn.Compose(loop.HeadRoom), "0\r\n"...)
	for i := range trailers {
		c.Field(trailers[i].Text())
	}
	c.conn.Commit(append(c.out, crlf...))
	c.out = nil
}

// Break implements exchange.Client.
func (c *HTTP1) Break(error) {
	c.keep = false
	c.conn.Flush() // what there is of it, the client gets
	c.conn.Reset()
}

// Full implements exchange.Client.
func (c *HTTP1) Full() bool { return loop.Enough(c.conn.Queued()) }
