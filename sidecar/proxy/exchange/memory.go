package exchange

import (
	"unsafe"

	"github.com/bearerguard/bearerguard/sidecar/gate"
	"github.com/bearerguard/bearerguard/sidecar/proxy/head"
	"github.com/bearerguard/bearerguard/sidecar/proxy/loop"
)

// fieldRoom is how many fields there is room for before more is made.
const fieldRoom = 24

// New returns an exchange whose Req is to be filled in, for Begin or Reject.
func (c *Conn) New(client Client) *Exchange {
	h := c.Host
	x := h.free.Take()
	if x.host == nil {
		x.host = h
		x.timer.Do = func() { x.client.Guard(x.wakes) }
		x.wakes = x.wake
	}
	if x.inquiry = h.inquiries.Take(); x.values == nil {
		x.values = make([]string, 0, 8)
	}
	if n := len(h.fields) - 1; n >= 0 {
		x.Req.Fields, h.fields = h.fields[n], h.fields[:n]
	} else {
		x.Req.Fields = make([]head.Field, 0, fieldRoom)
	}
	x.conn, x.client = c, client
	return x
}

// Own returns a copy of a head that lasts as long as the inquiry: what comes next is read into the memory that it came in, while the
// request waits for its verdict, or for the app.
func (x *Exchange) Own(b []byte) []byte {
	x.held = loop.Grab(len(b))
	return x.held[:copy(x.held, b)]
}

// HeadSent gives back early what a request that takes long needs no more. An App calls it that has written the head, and sends it again only if
// it is Repeatable.
func (x *Exchange) HeadSent() {
	if !x.Repeatable() && !x.HTTP2 { // a refusal is in the form that fields of HTTP/2 ask for
		x.dropFields()
	}
}

// forget gives the inquiry back, of which nothing is needed any more. One that is traced keeps what its span says at the end.
func (x *Exchange) forget() {
	x.dropHead()
	if x.trace != nil {
		return
	}
	h, q := x.host, x.inquiry
	x.giveRoom()
	x.keepNothing()
	*q = inquiry{values: q.values}
	x.inquiry = nil
	h.inquiries.Give(q, mostFree)
}

// dropHead gives the request's head back, and forgets what may lie in it.
func (x *Exchange) dropHead() {
	x.dropFields()
	clear(x.values[:cap(x.values)])
	x.Req, x.request, x.values = head.Request{}, gate.Request{}, x.values[:0]
	x.verdict.Path, x.verdict.Target, x.verdict.Host = "", "", ""
	if x.held != nil {
		loop.Drop(x.held)
		x.held = nil
	}
}

// dropFields gives the fields of the request back.
func (x *Exchange) dropFields() {
	h, fields := x.host, x.Req.Fields
	clear(fields[:cap(fields)])
	if x.Req.Fields = nil; cap(fields) > 0 && len(h.fields) < mostFree {
		h.fields = append(h.fields, fields[:0])
	}
}

// mostFree is how many of a kind are kept to be used again.
const mostFree = 256

// release gives the exchange back. Nothing of the request stays in it.
func (x *Exchange) release() {
	h := x.host
	x.timer.Rest()
	x.expiry.Rest()
	if x.trace = nil; x.inquiry != nil {
		x.forget()
	}
	*x = Exchange{host: h, timer: x.timer, expiry: x.expiry, wakes: x.wakes}
	if !h.free.Give(x, mostFree) {
		h.Loop.Stop(&x.timer)
		h.Loop.Stop(&x.expiry)
	}
}

// text is the bytes as a string without a copy: valid as long as they are.
func text(b []byte) string {
	return unsafe.String(unsafe.SliceData(b), len(b)) //nolint:gosec // the buffer is not written to while the string is used
}
