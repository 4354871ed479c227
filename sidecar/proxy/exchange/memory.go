package exchange

import (
	"unsafe"

	"github.com/bearerguard/bearerguard/sidecar/gate"
	"github.com/bearerguard/bearerguard/sidecar/proxy/head"
	"github.com/bearerguard/bearerguard/sidecar/proxy/loop"
	"github.com/bearerguard/bearerguard/sidecar/telemetry"
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
		x = &Exchange{Req: head.Request{Fields: make([]head.Field, 0, fieldRoom)}, values: make([]string, 0, 8), host: h}
		x.timer.Do = func() { x.client.Guard(x.wakes) }
		x.wakes = x.wake
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

// forget gives the head back, of which nothing is needed any more.
func (x *Exchange) forget() {
	fields := x.Req.Fields
	clear(fields[:cap(fields)])
	clear(x.values[:cap(x.values)])
	x.Req, x.values = head.Request{Fields: fields[:0]}, x.values[:0]
	x.request, x.record = gate.Request{}, telemetry.Record{}
	if x.held != nil {
		loop.Drop(x.held)
		x.held = nil
	}
}

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
	*x = Exchange{Req: x.Req, values: x.values, host: h, timer: loop.Timer{Do: x.timer.Do}, wakes: x.wakes}
	if len(h.free) < 256 {
		h.free = append(h.free, x)
	}
}

// text is the bytes as a string without a copy: valid as long as they are.
func text(b []byte) string {
	return unsafe.String(unsafe.SliceData(b), len(b)) //nolint:gosec // the buffer is not written to while the string is used
}
