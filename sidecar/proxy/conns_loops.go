//go:build loops

package proxy

import (
	"bytes"
	"crypto/tls"
	"net"
	"net/url"

	"golang.org/x/sys/unix"

	apps "github.com/bearerguard/bearerguard/sidecar/proxy/app"
	clients1 "github.com/bearerguard/bearerguard/sidecar/proxy/client"
	ends "github.com/bearerguard/bearerguard/sidecar/proxy/exchange"
	"github.com/bearerguard/bearerguard/sidecar/proxy/loop"
)

// entrant is a client connection that comes to a loop.
type entrant struct {
	ls      *loops
	h       *host
	conn    *loop.Conn
	info    connInfo
	release func()
}

// serve serves a connection that speaks HTTP without TLS, as far as is known.
func (ls *loops) serve(c net.Conn, info connInfo, release func()) {
	ls.take(c, info, release, (*entrant).plain)
}

// take gives a connection to the loop that has the fewest.
func (ls *loops) take(c net.Conn, info connInfo, release func(), do func(*entrant)) {
	fd, err := detach(c.(*net.TCPConn))
	if err != nil {
		_ = c.Close()
		release()
		return
	}
	e := &entrant{ls: ls, h: ls.hosts[0], info: info, release: release}
	for _, h := range ls.hosts[1:] {
		if h.Loop.Size() < e.h.Loop.Size() {
			e.h = h
		}
	}
	ls.mu.Lock()
	ls.open++
	ls.mu.Unlock()
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

// gone is called when the connection has ended.
func (e *entrant) gone() { e.ls.left(e.release) }

// of returns what is known of the connection, once all is.
func (e *entrant) of() (*ends.Conn, func()) {
	p, i := e.ls.proxy, &e.info
	set := apps.NewSet(e.h.Host, apps.Options{
		Host: withPort(i.Upstream), Secure: i.Upstream.Scheme == "https", Roots: p.roots, HTTP2: protocols[p.app], Shared: &e.h.apps,
	})
	return ends.NewConn(e.h.Host, ends.Info{
		Port: i.Port, Upstream: i.Upstream, Secure: i.Secure, Captured: i.Captured, Remote: i.Remote,
		ClientCert: i.ClientCert, Trusted: p.trusts(i.Remote),
	}, set), func() { set.Close(); e.gone() }
}

// protocols are what apps get the requests of HTTP/2 clients in.
var protocols = map[AppProtocol]apps.Protocol{AppAuto: apps.Streaming, AppHTTP1: apps.Never, AppH2C: apps.Always}

// plain serves HTTP/1.1, and HTTP/2 if the client begins with its preface.
func (e *entrant) plain() {
	of, gone := e.of()
	clients1.NewHTTP1(e.conn, of, clients1.Options{
		Gone:  gone,
		HTTP2: func(_ *loop.Conn, read []byte) { e.http2(of, bytes.Clone(read), gone) },
	})
}

// http2 serves HTTP/2, once there is a place for the connection.
func (e *entrant) http2(of *ends.Conn, read []byte, gone func()) {
	ls := e.ls
	ls.places.take(func() {
		e.post(func() {
			window := wideBytes
			if ls.http2.Add(1) > wideConns {
				window = narrowBytes
			}
			clients1.NewHTTP2(e.conn, of, clients1.HTTP2Options{Shared: &e.h.clients, Window: window, Read: read, Gone: func() {
				ls.http2.Add(-1)
				ls.places.leave()
				gone()
			}})
		})
	}, func() {
		e.post(func() {
			e.conn.Write(goAwayAtOnce())
			e.conn.End()
			gone()
		})
	})
}

func (e *entrant) post(do func()) {
	e.h.Loop.Post(func() { e.conn.Guard(do) })
}

// secure does the TLS handshake, once it is its turn, and then serves what the client and we agreed on (RFC 7301).
func (ls *loops) secure(c net.Conn, info connInfo, release func()) {
	ls.proxy.sockets.handshakes.take(func() {
		ls.take(c, info, release, (*entrant).shakeHands)
	}, func() {
		_ = c.Close()
		release()
	})
}

func (e *entrant) shakeHands() {
	s := e.ls.proxy.sockets
	limit := e.ls.proxy.limits.ReadHead
	if s.handshakes.crowded() {
		limit = min(limit, crowdedHandshake)
	}
	e.h.shaking[e.conn] = struct{}{}
	e.conn.Handshake(func(below net.Conn) *tls.Conn { return tls.Server(below, e.ls.proxy.tls) }, limit, func(t *tls.Conn, err error) {
		delete(e.h.shaking, e.conn)
		s.handshakes.leave()
		e.shaken(t, err)
	})
	if s.ctx.Err() != nil {
		e.conn.Cut()
	}
}

// shaken serves the connection after its handshake, which may have failed.
func (e *entrant) shaken(t *tls.Conn, err error) {
	if err != nil {
		e.ls.proxy.sockets.handshakeFailed(err, &e.info)
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
