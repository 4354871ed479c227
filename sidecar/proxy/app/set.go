package app

import (
	"net/netip"
	"slices"
	"time"

	"github.com/bearerguard/bearerguard/sidecar/proxy/exchange"
	"github.com/bearerguard/bearerguard/sidecar/proxy/loop"
)

// Set has the connections of one client. A connection to the app never serves two clients, so an app that answers more than
// it was asked can only confuse the client that asked.
type Set struct {
	Options
	host *exchange.Host
	to   netip.AddrPort // where it listens
	near bool           // to is all that is needed
	idle *HTTP1         // the first of those on which nothing is asked

	http2     []*HTTP2
	dialling  *dialling // a connection that is to speak HTTP/2, if one is being made
	onlyHTTP1 bool      // the app has chosen HTTP/1.1 where it could have HTTP/2
}

// Options say where the app is, and what is needed to get there.
type Options struct {
	// Host is the host, a name or an address, and the port.
	Host string
	// Shared is what connections of the loop share.
	Shared *Shared
	// Secure says that it speaks TLS.
	Secure bool
}

// Protocol says which requests of HTTP/2 clients the app gets in HTTP/2.
type Protocol uint8

// The protocols.
const (
	Streaming Protocol = iota // those that need it: calls of gRPC and Connect
	Never
	Always
)

// Init makes the set ready, which has no connections then.
func (s *Set) Init(h *exchange.Host, o Options) {
	s.Options, s.host = o, h
	s.to, s.near = o.address()
}

// Close closes the connections, on which nothing is asked any more. The set need not be ready.
func (s *Set) Close() {
	for ; s.idle != nil; s.idle = s.idle.next {
		s.idle.retire()
	}
	for _, a := range s.http2 {
		s.host.Loop.Post(func() { a.conn.Guard(func() { a.fail(nil) }) }) // it may be in the middle of something
	}
}

// Open implements exchange.Apps.
func (s *Set) Open(x *exchange.Exchange) {
	if s.overHTTP2(x) {
		s.openHTTP2(x)
		return
	}
	if a := s.idle; a != nil && !a.conn.Unread() { // what nobody has asked for is no answer to this
		s.idle, a.next = a.next, nil
		a.timer.Rest()
		a.x = x
		x.Forward(a)
		return
	}
	s.open(x)
}

// open has a new connection get a request.
func (s *Set) open(x *exchange.Exchange) {
	if !s.near {
		s.dialAway(x, false)
		return
	}
	x.Forward(s.dial(x))
}

// overHTTP2 reports whether the app gets a request in HTTP/2.
func (s *Set) overHTTP2(x *exchange.Exchange) bool {
	switch {
	case !x.HTTP2 || s.Shared.HTTP2 == Never || s.onlyHTTP1:
		return false
	case s.Shared.HTTP2 == Always:
		return true
	}
	return exchange.Streams(x)
}

// adopt takes a connection that has been made.
func (s *Set) adopt(c *loop.Conn, x *exchange.Exchange) *HTTP1 {
	a := &HTTP1{set: s, x: x, conn: c}
	a.timer = loop.Timer{Do: a.wake, Of: c}
	c.Handle(a)
	c.Again()
	return a
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

// keep has a connection wait for the next request.
func (s *Set) keep(a *HTTP1) {
	a.next, s.idle = s.idle, a
	s.host.Loop.Set(&a.timer, kept)
}

func (s *Set) forget(a *HTTP1) {
	for at := &s.idle; *at != nil; at = &(*at).next {
		if *at == a {
			*at, a.next = a.next, nil
			return
		}
	}
}

func (s *Set) forgetHTTP2(a *HTTP2) {
	if i := slices.Index(s.http2, a); i >= 0 {
		s.http2 = slices.Delete(s.http2, i, i+1)
	}
}
