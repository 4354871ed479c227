package exchange

import (
	"github.com/bearerguard/bearerguard/sidecar/proxy/head"
	"github.com/bearerguard/bearerguard/sidecar/proxy/loop"
)

// Bounds of what is kept of requests so that they can be sent again, in bytes: of one, which is as much as a frame of DATA has and more than most calls
// and messages do, and of those of all connections, which is half of what bodies may take before connections get less room for theirs. Beyond that,
// nothing is kept.
const (
	mostKept = 16 << 10
	allKept  = 2 << 20
)

// Waits says who waits for a connection to the app, within the time that the app has for its answer. What comes of the body is held until Forward;
// the client is not asked for it.
func (x *Exchange) Waits(w Waiter) {
	x.app, x.waits = nil, w
	if !x.timer.On() {
		x.await()
	}
}

// Forward has an App get the request: at once, when there is a connection at last, or in place of one that has not looked at it.
func (x *Exchange) Forward(to App) {
	x.app, x.waits = to, nil
	tail := x.tail // which may not be kept
	if to.Head(x); x.app != to {
		return // it has failed, and x may be another request's by now
	}
	if n := x.begun.Len(); n > 0 {
		x.sent = int64(n)
		to.Data(x.begun.Bytes())
		if !x.keepsMore(n) {
			x.begun.Drop()
		}
	}
	if x.whole {
		to.Finish(tail)
		if len(x.tail) > 0 && !x.keepsMore(sizeOf(x.tail)) {
			x.tail = nil
		}
		if !x.timer.On() {
			x.await()
		}
		return
	}
	if x.timer.Rest(); x.Req.Expect {
		x.host.Loop.Set(&x.timer, hesitation)
	}
	x.client.Want()
}

// Keep has what the App gets be kept until it answers, as far as there is room. An App calls it, in Head, that may say later that it has not looked at
// the request.
func (x *Exchange) Keep() { x.keeps = !x.again }

// keepsMore reports whether n bytes more that the App gets are to be kept. If there is no room for them, nothing is kept any more.
func (x *Exchange) keepsMore(n int) bool {
	if !x.keeps {
		return false
	}
	if x.counted+n > mostKept || loop.Held() > allKept {
		x.keepNothing()
		return false
	}
	x.counted += n
	loop.Count(n)
	return true
}

// keepNothing gives up what is kept: the request is not sent again.
func (x *Exchange) keepNothing() {
	if x.keeps = false; x.counted > 0 {
		loop.Count(-x.counted)
		x.counted = 0
	}
	x.begun.Drop()
	x.tail = nil
}

// Kept reports whether all that the App got is kept, and it has not answered.
func (x *Exchange) Kept() bool { return !x.told && x.keeps }

// SendAgain sends a request again of which nothing was sent, or that is Kept. It returns false if that has been done before.
func (x *Exchange) SendAgain() bool {
	if x.again {
		return false
	}
	x.again, x.keeps = true, false
	loop.Count(-x.counted)
	if x.counted = 0; !x.whole {
		x.stuck = false
		x.timer.Rest() // it was for the body
	}
	x.forward()
	return true
}

// Repeatable reports whether the request, which the app has not begun to answer, may be sent again, to another App, if it is not known whether the app got it.
func (x *Exchange) Repeatable() bool { return x.safe && x.Empty() }

// Moves says that another App has the request from now on.
func (x *Exchange) Moves(to App) { x.app = to }

// sizeOf is how many bytes fields have.
func sizeOf(fields []head.Field) (n int) {
	for i := range fields {
		n += len(fields[i].Name) + len(fields[i].Value)
	}
	return n
}
