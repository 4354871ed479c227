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

// looks is how often it is looked at whether an app takes a body, in the time that it has.
const looks = 4

// untaken bounds for how long the app takes none of a body, of which there is more. It is as good as one that does not answer.
func (x *Exchange) untaken() {
	if d := x.host.Limits.Response; d > 0 && x.step == stepForward {
		x.stuck, x.idle = true, 0
		x.host.Loop.Set(&x.timer, d/looks)
	}
}

// takes reports whether the app has taken some of a body since it was last asked, or has more time for that.
func (x *Exchange) takes() bool {
	if n := x.app.Taken(); n != x.taken {
		x.taken, x.idle = n, 0
	} else if x.idle++; x.idle == looks {
		return false
	}
	x.host.Loop.Set(&x.timer, x.host.Limits.Response/looks)
	return true
}

// wake is called when the app's time is up.
func (x *Exchange) wake() {
	switch {
	case x.step != stepForward || x.app == nil:
	case x.whole, x.stuck && !x.takes():
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
