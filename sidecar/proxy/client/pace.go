package client

import (
	"time"

	"github.com/bearerguard/bearerguard/sidecar/proxy/exchange"
	"github.com/bearerguard/bearerguard/sidecar/proxy/loop"
)

// pace is how fast a request's body comes.
type pace struct {
	since   time.Time     // when it was begun to be waited for; zero: it is not
	starved time.Duration // how long it was waited for before that
	came    int64         // bytes of it
}

// wait notes whether the body is waited for. The timer says when to look whether it comes too slowly; what comes meanwhile does not put it off.
func (p *pace) wait(is bool, t *loop.Timer, h *exchange.Host) {
	switch now := h.Loop.Now(); {
	case is && p.since.IsZero():
		if p.since = now; h.Limits.BodyRate > 0 {
			h.Loop.Set(t, max(h.Limits.ReadHead-p.starved, 1))
		}
	case !is && !p.since.IsZero():
		p.starved += now.Sub(p.since)
		p.since = time.Time{}
		t.Rest()
	}
}

// slow reports whether the body comes too slowly. If it does not, the timer says when to look again.
func (p *pace) slow(t *loop.Timer, h *exchange.Host) bool {
	l, waited := &h.Limits, p.starved+h.Loop.Now().Sub(p.since)
	slow := waited > l.ReadHead && float64(p.came) < float64(l.BodyRate)*waited.Seconds()
	if !slow && l.BodyRate > 0 {
		h.Loop.Set(t, max(l.ReadHead-waited, l.ReadHead/4))
	}
	return slow
}

// waited counts the time anew from one at which the client could not send, if that was later. It reports whether there is time left.
func (p *pace) waited(at time.Time, t *loop.Timer, h *exchange.Host) bool {
	if at.After(p.since) {
		p.since, p.starved = at, 0
	}
	left := h.Limits.ReadHead - p.starved - h.Loop.Now().Sub(p.since)
	if left > 0 {
		h.Loop.Set(t, left)
	}
	return left > 0
}
