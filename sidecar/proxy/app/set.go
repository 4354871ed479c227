package app

import (
	"net/netip"
	"time"

	"github.com/bearerguard/bearerguard/sidecar/proxy/exchange"
	"github.com/bearerguard/bearerguard/sidecar/proxy/loop"
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
func (s *Set) Open(x *exchange.Exchange) exchange.App {
	if n := len(s.idle) - 1; n >= 0 {
		a := s.idle[n]
		s.idle = s.idle[:n]
		s.host.Loop.Stop(&a.timer)
		a.x = x
		return a
	}
	return s.dial(x)
}

// dial returns a new connection.
func (s *Set) dial(x *exchange.Exchange) *HTTP1 {
	a := &HTTP1{set: s, x: x}
	a.conn = s.host.Loop.Dial(s.to, a)
	a.timer = loop.Timer{Do: a.wake, Of: a.conn}
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
