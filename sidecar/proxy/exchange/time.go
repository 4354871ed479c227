package exchange

import "time"

// hesitation is how long an app may take to ask for a body that the client holds back.
const hesitation = time.Second

// await bounds the wait for the app's answer.
func (x *Exchange) await() {
	if d := x.host.Limits.Response; d > 0 && x.step == stepForward {
		x.host.Loop.Set(&x.timer, d)
		return
	}
	x.timer.Rest() // nobody waits for the app to ask for the body any more
}

// Looks is how often it is looked at whether a peer takes something, in the time that it has.
const Looks = 4

// Stall counts how often a peer was found to have taken nothing. In the zero Stall it has all of its time.
type Stall struct {
	taken uint64
	idle  uint8
}

// Begin gives the peer all of its time again.
func (s *Stall) Begin() { s.idle = 0 }

// Over is told, each time that it is looked, a number that changes when the peer takes something. It reports whether the peer's time is up.
func (s *Stall) Over(taken uint64) bool {
	if taken != s.taken {
		s.taken, s.idle = taken, 0
		return false
	}
	s.idle++
	return s.idle == Looks
}

// untaken bounds for how long the app takes none of a body, of which there is more. It is as good as one that does not answer.
func (x *Exchange) untaken() {
	if d := x.host.Limits.Response; d > 0 && x.step == stepForward {
		x.stuck = true
		x.stall.Begin()
		x.host.Loop.Set(&x.timer, d/Looks)
	}
}

// takes reports whether the app has taken some of a body since it was last asked, or has more time for that.
func (x *Exchange) takes() bool {
	if x.stall.Over(x.app.Taken()) {
		return false
	}
	x.host.Loop.Set(&x.timer, x.host.Limits.Response/Looks)
	return true
}

// wake is called when the app's time is up.
func (x *Exchange) wake() {
	switch {
	case x.step != stepForward:
	case x.whole, x.app == nil, x.stuck && !x.takes():
		x.abandon()
		x.AppFails(errTimeout)
	case x.sent == 0 && !x.asked:
		x.asked = true
		x.client.Continue()
	}
}

// expired reports whether a token has expired, or has that be looked at again: a loop that has much to do has its timers early, too.
func (x *Exchange) expired(until time.Time) bool {
	left := until.Sub(x.host.Now())
	if left > 0 {
		x.host.Loop.Set(&x.expiry, left)
	}
	return left <= 0
}

// expires ends what goes on although its token has expired.
func (x *Exchange) expires(until time.Time) {
	if !x.expired(until) {
		return
	}
	x.abandon()
	x.client.Break(nil)
	x.over()
}
