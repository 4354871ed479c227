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
	var x *Exchange
	if n := len(h.free) - 1; n >= 0 {
		x, h.free = h.free[n], h.free[:n]
	} else {
		x = &Exchange{values: make([]string, 0, 8), host: h}
		x.timer.Do = func() { x.client.Guard(x.wakes) }
		x.wakes = x.wake
	}
	if n := len(h.fields) - 1; n >= 0 {
		x.Req.Fields, h.fields = h.fields[n], h.fields[:n]
	} else {
		x.Req.Fields = make([]head.Field, 0, fieldRoom)
	}
	x.conn, x.client = c, client
	return x
}

// Own returns a copy of a head that lasts as long as the exchange: what comes next is read into the memory that it came in, while the
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

// forget gives the head back, of which nothing is needed any more.
func (x *Exchange) forget() {
	x.dropFields()
	clear(x.values[:cap(x.values)])
	x.Req, x.values = head.Request{}, x.values[:0]
	x.request = gate.Request{}
	x.verdict.Path, x.verdict.Target, x.verdict.Host = "", "", "" // they may lie in the head
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
	h.Loop.Stop(&x.timer)
	h.Loop.Stop(&x.expiry)
	x.giveRoom()
	x.forget()
	if x.begun != nil {
		loop.Drop(x.begun)
	}
	*x = Exchange{values: x.values, host: h, timer: loop.Timer{Do: x.timer.Do}, wakes: x.wakes}
	if len(h.free) < mostFree {
		h.free = append(h.free, x)
	}
}

// text is the bytes as a string without a copy: valid as long as they are.
func text(b []byte) string {
	return unsafe.String(unsafe.SliceData(b), len(b)) //nolint:gosec // the buffer is not written to while the string is used
}
