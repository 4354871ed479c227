package client

import (
	"time"

	"github.com/bearerguard/bearerguard/sidecar/proxy/exchange"
)

// pace is how fast a request's body comes.
type pace struct {
	since   time.Time     // when it was begun to be waited for; zero: it is not
	starved time.Duration // how long it was waited for before that
	came    int64         // bytes of it
}

// wait notes whether the body is waited for. It returns how long that may go on before it is looked at; 0: for ever.
func (p *pace) wait(is bool, now time.Time, l *exchange.Limits) time.Duration {
	switch {
	case is && p.since.IsZero():
		p.since = now
	case !is && !p.since.IsZero():
		p.starved += now.Sub(p.since)
		p.since = time.Time{}
	}
	if !is || l.BodyRate == 0 {
		return 0
	}
	return max(l.ReadHead-p.starved, 1)
}

// slow reports whether the body comes too slowly. If it does not, it is to be looked at again after a while.
func (p *pace) slow(now time.Time, l *exchange.Limits) (is bool, again time.Duration) {
	waited := p.starved + now.Sub(p.since)
	if waited > l.ReadHead && float64(p.came) < float64(l.BodyRate)*waited.Seconds() {
		return true, 0
	}
	return false, max(l.ReadHead-waited, l.ReadHead/4)
}
