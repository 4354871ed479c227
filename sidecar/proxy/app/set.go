package app

import (
	"net/netip"
	"time"

	"github.com/bearerguard/bearerguard/sidecar/proxy/exchange"
)

// Set has the connections of one client. A connection to the app never serves two clients, so an app that answers more than
// it was asked can only confuse the client that asked.
type Set struct {
	host *exchange.Host
	to   netip.AddrPort
	idle []*HTTP1
}

// NewSet returns a set without connections.
func NewSet(h *exchange.Host, to netip.AddrPort) *Set { return &Set{host: h, to: to} }

// Close closes the connections that nothing is asked on.
func (s *Set) Close() {
	for _, a := range s.idle {
		a.close()
	}
	s.idle = nil
}

// Open implements exchange.Apps.
func (s *Set) Open(x *exchange.Exchange, fresh bool) exchange.App {
	if n := len(s.idle) - 1; n >= 0 && !fresh {
		a := s.idle[n]
		s.idle = s.idle[:n]
		s.host.Loop.Stop(&a.timer)
		a.x = x
		return a
	}
	a := &HTTP1{set: s, x: x}
	a.timer.Do = a.wake
	a.conn = s.host.Loop.Dial(s.to, a)
	a.dialling = true
	if d := s.host.Limits.Dial; d > 0 {
		s.host.Loop.Set(&a.timer, d)
	}
	return a
}

// kept is how long a connection is kept between requests.
const kept = time.Second

func (s *Set) forget(a *HTTP1) {
	for i := range s.idle {
		if s.idle[i] == a {
			s.idle = append(s.idle[:i], s.idle[i+1:]...)
			return
		}
	}
}
