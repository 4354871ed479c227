package proxy

import (
	"bytes"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"time"

	"golang.org/x/sys/unix"

	appside "github.com/bearerguard/bearerguard/sidecar/proxy/app"
	clientside "github.com/bearerguard/bearerguard/sidecar/proxy/client"
	"github.com/bearerguard/bearerguard/sidecar/proxy/exchange"
	"github.com/bearerguard/bearerguard/sidecar/proxy/frame"
	"github.com/bearerguard/bearerguard/sidecar/proxy/head"
	"github.com/bearerguard/bearerguard/sidecar/proxy/loop"
)

// entrant is a client connection that comes to a loop, and what belongs to it for as long as it is open.
type entrant struct {
	ls      *loops
	h       *host
	conn    *loop.Conn
	of      exchange.Conn
	apps    appside.Set
	left    func(netip.Addr) // is told of the end; nil: it has been
	shaking bool             // it has a place among the handshakes
	placed  bool             // it has one among the connections of HTTP/2
	narrow  bool             // the kernel has held little for it while it waited
}

// serve serves a connection that speaks HTTP without TLS, as far as is known.
func (ls *loops) serve(c net.Conn, info exchange.Info, left func(netip.Addr)) {
	ls.take(c, &entrant{ls: ls, of: exchange.Conn{Info: info}, left: left}, (*entrant).plain)
}

// take gives a connection to the loop that has the fewest.
func (ls *loops) take(c net.Conn, e *entrant, do func(*entrant)) {
	fd, err := loop.Detach(c.(*net.TCPConn))
	if err != nil {
		e.Gone()
		return
	}
	e.h = ls.hosts[0]
	for _, h := range ls.hosts[1:] {
		if h.Loop.Size() < e.h.Loop.Size() {
			e.h = h
		}
	}
	if !e.h.Loop.Post(func() { e.enter(fd, do) }) {
		_ = unix.Close(fd)
		e.Gone()
	}
}

func (e *entrant) enter(fd int, do func(*entrant)) {
	var err error
	if e.conn, err = e.h.Loop.Add(fd, unserved{e: e}); err != nil {
		e.Gone()
		return
	}
	e.conn.Guard(func() { do(e) })
}

// Gone implements clientside.Owner. It is called too for a connection that never got to its loop.
func (e *entrant) Gone() {
	left := e.left
	if left == nil {
		return
	}
	e.left = nil
	e.leaveHandshakes()
	if e.placed {
		e.ls.http2.Add(-1)
		e.ls.places.leave()
	}
	e.apps.Close()
	left(e.of.Info.Remote)
}

// leaveHandshakes gives the connection's place among the handshakes back, once.
func (e *entrant) leaveHandshakes() {
	if e.shaking {
		e.shaking = false
		e.ls.handshakes.leave()
	}
}

// known makes the connection ready for requests, once all is known of it.
func (e *entrant) known() {
	o := appside.Options{Shared: &e.h.apps}
	if to := e.of.Info.Upstream; to != nil {
		o.Host, o.Secure = withPort(to), to.Scheme == "https"
	}
	e.apps.Init(e.h.Host, o)
	e.of.Init(e.h.Host, &e.apps)
}

// protocols are what apps get the requests of HTTP/2 clients in.
var protocols = map[AppProtocol]appside.Protocol{AppAuto: appside.Streaming, AppHTTP1: appside.Never, AppH2C: appside.Always}

// plain serves HTTP/1.1, and HTTP/2 if the client begins with its preface.
func (e *entrant) plain() {
	e.known()
	clientside.NewHTTP1(e.conn, &e.of, e)
}

// What a client of HTTP/2 may send of bodies that no app has taken, in bytes, on a stream and on all of them.
const (
	wideBytes   = 256 << 10
	narrowBytes = 65535 // on connections beyond the first wideConns; there may be no less (RFC 9113 section 6.9.2)
	wideConns   = 256
)

// HTTP2 implements clientside.Owner: the connection is served once there is a place for it.
func (e *entrant) HTTP2(read []byte) {
	read = bytes.Clone(read)
	e.ls.places.take(func() {
		e.post(func() {
			if e.left == nil { // it has ended meanwhile
				e.ls.places.leave()
				return
			}
			e.placed = true
			window := wideBytes
			if e.ls.http2.Add(1) > wideConns {
				window = narrowBytes
			}
			clientside.NewHTTP2(e.conn, &e.of, clientside.HTTP2Options{Shared: &e.h.clients, Window: window, Read: read, Owner: e})
		})
	}, func() {}, func() {
		e.post(func() {
			e.conn.Write(frame.Farewell(frame.EnhanceYourCalm, "too many connections"))
			e.conn.End()
			e.Gone()
		})
	})
}

func (e *entrant) post(do func()) {
	e.h.Loop.Post(func() { e.conn.Guard(do) })
}

// Bounds of TLS handshakes. One that stops half-way holds ten times as much as a connection that waits for a request.
const (
	mostHandshakes   = 1000            // at a time; others wait for their turn
	crowdedHandshake = 2 * time.Second // for one, where more than half as many are under way
)

// secure does the TLS handshake, once it is its turn, and then serves what the client and we agreed on (RFC 7301).
func (ls *loops) secure(c net.Conn, info exchange.Info, left func(netip.Addr)) {
	e := &entrant{ls: ls, of: exchange.Conn{Info: info}, left: left}
	ls.handshakes.take(func() {
		e.shaking = true
		ls.take(c, e, (*entrant).shakeHands)
	}, func() {
		if ls.proxy.config.Pressure != nil {
			loop.Narrow(c.(*net.TCPConn)) // while it waits, no loop could have it hold less
			e.narrow = true
		}
	}, func() {
		_ = c.Close()
		left(info.Remote)
	})
}

func (e *entrant) shakeHands() {
	ls := e.ls
	limit := e.h.Within(ls.proxy.config.Limits.ReadHead)
	if ls.handshakes.crowded() {
		limit = min(limit, crowdedHandshake)
	}
	if e.narrow {
		e.conn.Widen()
	}
	e.h.shaking[e.conn] = struct{}{}
	e.conn.Handshake(func(below net.Conn) *tls.Conn { return tls.Server(below, ls.proxy.config.TLS) }, limit, func(t *tls.Conn, err error) {
		e.conn.Handle(unserved{e: e})
		delete(e.h.shaking, e.conn)
		e.leaveHandshakes()
		e.shaken(t, err)
	})
}

// shaken serves the connection after its handshake, which may have failed.
func (e *entrant) shaken(t *tls.Conn, err error) {
	if err != nil {
		cause := err.Error()
		if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
			cause = e.ls.proxy.foreign.meet(head.NoTLS, &e.of.Info)
		}
		e.ls.proxy.config.Log.V(1).Info("TLS handshake failed", "cause", cause)
		e.conn.Close()
		e.Gone()
		return
	}
	state := t.ConnectionState()
	e.of.Info.ClientCert = clientCert(&state)
	if state.NegotiatedProtocol != "h2" {
		e.plain()
		return
	}
	e.known()
	e.HTTP2(nil)
}

// unserved is the handler of a connection that is not served yet: it waits for its place, say.
type unserved struct {
	loop.Nobody
	e *entrant
}

// Failed implements loop.Handler.
func (u unserved) Failed(*loop.Conn, error) { u.e.Gone() }

// withPort is the host of an app, with the port.
func withPort(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Host
	case u.Scheme == "https":
		return net.JoinHostPort(u.Hostname(), "443")
	}
	return net.JoinHostPort(u.Hostname(), "80")
}
