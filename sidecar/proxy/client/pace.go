package client

import (
	"time"

	"github.com/bearerguard/bearerguard/sidecar/proxy/exchange"
	"github.com/bearerguard/bearerguard/sidecar/proxy/loop"
)

// pace is how fast a request's body comes.
type pace struct {
	since   time.Time     // when it was begun to be waited for; zero: it is not
	shut    time.Duration // for how long the client could send no body, up to then
	starved time.Duration // how long it was waited for before that
	came    int64         // bytes of it
}

// mostShut bounds how much of the wait for a body the client is not answerable for, in times of Limits.ReadHead: others hold its window.
const mostShut = 10

// wait notes whether the body is waited for. The timer says when to look whether it comes too slowly; what comes meanwhile does not put it off.
// Shut is for how long the client could send no body so far, all together.
func (p *pace) wait(is bool, shut time.Duration, t *loop.Timer, h *exchange.Host) {
	switch now := h.Loop.Now(); {
	case is && p.since.IsZero():
		if p.since, p.shut = now, shut; h.Limits.BodyRate > 0 {
			h.Loop.Set(t, max(h.Limits.ReadHead-p.starved, 1))
		}
	case !is && !p.since.IsZero():
		p.starved = p.waited(shut, h)
		p.since = time.Time{}
		t.Rest()
	}
}

// waited is how long the body has been waited for while the client could send it.
func (p *pace) waited(shut time.Duration, h *exchange.Host) time.Duration {
	return p.starved + max(0, h.Loop.Now().Sub(p.since)-min(shut-p.shut, mostShut*h.Limits.ReadHead))
}

// slow reports whether the body comes too slowly. If it does not, the timer says when to look again.
func (p *pace) slow(shut time.Duration, t *loop.Timer, h *exchange.Host) bool {
	l, waited := &h.Limits, p.waited(shut, h)
	slow := waited > l.ReadHead && float64(p.came) < float64(l.BodyRate)*waited.Seconds()
	if !slow && l.BodyRate > 0 {
		h.Loop.Set(t, max(l.ReadHead-waited, l.ReadHead/4))
	}
	return slow
}
