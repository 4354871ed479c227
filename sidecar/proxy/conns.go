package proxy

import (
	"bytes"
	"crypto/tls"
	"errors"
	"net"
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

// entrant is a client connection that comes to a loop.
type entrant struct {
	ls      *loops
	h       *host
	conn    *loop.Conn
	info    exchange.Info
	release func()
	shaking bool // it has a place among the handshakes
}

// serve serves a connection that speaks HTTP without TLS, as far as is known.
func (ls *loops) serve(c net.Conn, info exchange.Info, release func()) {
	ls.take(c, &entrant{ls: ls, info: info, release: release}, (*entrant).plain)
}

// take gives a connection to the loop that has the fewest.
func (ls *loops) take(c net.Conn, e *entrant, do func(*entrant)) {
	ls.mu.Lock()
	ls.open++
	ls.mu.Unlock()
	fd, err := detach(c.(*net.TCPConn))
	if err != nil {
		_ = c.Close()
		e.gone()
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
		e.gone()
	}
}

func (e *entrant) enter(fd int, do func(*entrant)) {
	var err error
	if e.conn, err = e.h.Loop.Add(fd, nil); err != nil {
		e.gone()
		return
	}
	e.conn.Guard(func() { do(e) })
}

// gone is called when the connection has ended, also where it never got to its loop.
func (e *entrant) gone() {
	e.leaveHandshakes()
	e.ls.left(e.release)
}

// leaveHandshakes gives the connection's place among the handshakes back, once.
func (e *entrant) leaveHandshakes() {
	if e.shaking {
		e.shaking = false
		e.ls.handshakes.leave()
	}
}

// of returns what is known of the connection, once all is.
func (e *entrant) of() (*exchange.Conn, func()) {
	p, i := e.ls.proxy, &e.info
	o := appside.Options{Roots: p.roots, Resolver: p.resolver, HTTP2: protocols[p.app], Shared: &e.h.apps}
	if i.Upstream != nil {
		o.Host, o.Secure = withPort(i.Upstream), i.Upstream.Scheme == "https"
	}
	set := appside.NewSet(e.h.Host, o)
	return exchange.NewConn(e.h.Host, e.info, set), func() { set.Close(); e.gone() }
}

// protocols are what apps get the requests of HTTP/2 clients in.
var protocols = map[AppProtocol]appside.Protocol{AppAuto: appside.Streaming, AppHTTP1: appside.Never, AppH2C: appside.Always}

// plain serves HTTP/1.1, and HTTP/2 if the client begins with its preface.
func (e *entrant) plain() {
	of, gone := e.of()
	clientside.NewHTTP1(e.conn, of, clientside.Options{
		Gone:  gone,
		HTTP2: func(_ *loop.Conn, read []byte) { e.http2(of, bytes.Clone(read), gone) },
	})
}

// What a client of HTTP/2 may send of bodies that no app has taken, in bytes, on a stream and on all of them.
const (
	wideBytes   = 256 << 10
	narrowBytes = 65535 // on connections beyond the first wideConns; there may be no less (RFC 9113 section 6.9.2)
	wideConns   = 256
)

// http2 serves HTTP/2, once there is a place for the connection.
func (e *entrant) http2(of *exchange.Conn, read []byte, gone func()) {
	ls := e.ls
	ls.places.take(func() {
		e.post(func() {
			window := wideBytes
			if ls.http2.Add(1) > wideConns {
				window = narrowBytes
			}
			clientside.NewHTTP2(e.conn, of, clientside.HTTP2Options{Shared: &e.h.clients, Window: window, Read: read, Gone: func() {
				ls.http2.Add(-1)
				ls.places.leave()
				gone()
			}})
		})
	}, func() {
		e.post(func() {
			e.conn.Write(frame.Farewell(frame.EnhanceYourCalm, "too many connections"))
			e.conn.End()
			gone()
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
func (ls *loops) secure(c net.Conn, info exchange.Info, release func()) {
	ls.handshakes.take(func() {
		ls.take(c, &entrant{ls: ls, info: info, release: release, shaking: true}, (*entrant).shakeHands)
	}, func() {
		_ = c.Close()
		release()
	})
}

func (e *entrant) shakeHands() {
	ls := e.ls
	limit := ls.proxy.limits.ReadHead
	if ls.handshakes.crowded() {
		limit = min(limit, crowdedHandshake)
	}
	e.h.shaking[e.conn] = struct{}{}
	e.conn.Handshake(func(below net.Conn) *tls.Conn { return tls.Server(below, ls.proxy.tls) }, limit, func(t *tls.Conn, err error) {
		delete(e.h.shaking, e.conn)
		e.leaveHandshakes()
		e.shaken(t, err)
	})
	if e.h.Closing {
		e.conn.Cut()
	}
}

// shaken serves the connection after its handshake, which may have failed.
func (e *entrant) shaken(t *tls.Conn, err error) {
	if err != nil {
		cause := err.Error()
		if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
			cause = e.ls.proxy.foreign.meet(head.NoTLS, &e.info)
		}
		e.ls.proxy.log.V(1).Info("TLS handshake failed", "cause", cause)
		e.conn.Close()
		e.gone()
		return
	}
	state := t.ConnectionState()
	e.info.ClientCert = clientCert(&state)
	if state.NegotiatedProtocol != "h2" {
		e.plain()
		return
	}
	of, gone := e.of()
	e.conn.Handle(idle{})
	e.http2(of, nil, gone)
}

// idle is the handler of a connection for which there is no place yet.
type idle struct{}

// Connected implements loop.Handler.
func (idle) Connected(*loop.Conn, error) {}

// Readable implements loop.Handler.
func (idle) Readable(*loop.Conn) {}

// Drained implements loop.Handler.
func (idle) Drained(*loop.Conn) {}

// Failed implements loop.Handler.
func (idle) Failed(*loop.Conn, error) {}

// detach takes a connection's socket from the runtime.
func detach(c *net.TCPConn) (fd int, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return -1, err
	}
	if ctlErr := raw.Control(func(s uintptr) { fd, err = unix.FcntlInt(s, unix.F_DUPFD_CLOEXEC, 0) }); ctlErr != nil {
		return -1, ctlErr
	}
	_ = c.Close()
	return fd, err
}

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
