package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"time"

	"github.com/bearerguard/bearerguard/sidecar/capture"
	"github.com/bearerguard/bearerguard/sidecar/proxy/head"
	"github.com/bearerguard/bearerguard/sidecar/proxy/relay"
)

// connInfo is what is known of a client connection before its first byte.
type connInfo = relay.Info

// sockets accepts on all sockets, does TLS, and gives connections to the relay, those of HTTP/2 to http2Server.
type sockets struct {
	proxy *Proxy
	list  []net.Listener
	ports []int           // our own, which must not be forwarded to
	room  chan struct{}   // holds one for each connection
	ctx   context.Context //nolint:containedctx // ends the goroutines that accept
	stop  context.CancelFunc

	clients    clients
	handshakes places
	own        ownAddresses
}

// listen opens all sockets, or none.
func (p *Proxy) listen(ctx context.Context) (*sockets, error) {
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx)) // Run says when it is over
	s := &sockets{
		proxy: p, room: make(chan struct{}, p.limits.Connections), ctx: ctx, stop: stop,
		clients: clients{most: p.limits.PerClient, open: map[netip.Addr]int{}},
		handshakes: places{
			most: mostHandshakes, patience: p.limits.ReadHead, cause: "as many TLS handshakes are under way as may be", log: p.log,
		},
	}
	var lc net.ListenConfig
	for _, l := range p.listens {
		sock, err := lc.Listen(ctx, "tcp", l.Address)
		if err != nil {
			stop()
			for _, open := range s.list {
				_ = open.Close()
			}
			return nil, fmt.Errorf("listen %s: %w", l.Address, err)
		}
		s.list = append(s.list, sock)
		s.ports = append(s.ports, Listen{}.port(sock.Addr()))
	}
	return s, nil
}

// serve starts accepting.
func (s *sockets) serve() {
	for i, l := range s.list {
		go s.acceptAll(l, s.proxy.listens[i])
	}
}

// close closes all sockets.
func (s *sockets) close() {
	s.stop()
	s.handshakes.close()
	for _, l := range s.list {
		_ = l.Close()
	}
}

func (s *sockets) acceptAll(l net.Listener, listen target) {
	pause := time.Duration(0)
	for {
		select {
		case s.room <- struct{}{}:
		case <-s.ctx.Done():
			return
		}
		c, err := l.Accept()
		if err != nil {
			<-s.room
			if s.ctx.Err() != nil {
				return
			}
			// Out of file descriptors, say: wait a little for some to be given back.
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			s.proxy.log.Error(err, "cannot accept", "address", listen.Address)
			select {
			case <-time.After(pause):
			case <-s.ctx.Done():
			}
			continue
		}
		pause = 0
		go s.welcome(c, listen)
	}
}

// welcome makes a connection ready to be served.
func (s *sockets) welcome(c net.Conn, listen target) {
	if s.proxy.observer != nil {
		s.proxy.observer.Connection(+1)
	}
	info, err := s.describe(c, listen)
	release := func() {
		<-s.room
		s.clients.leave(info.Remote)
		if s.proxy.observer != nil {
			s.proxy.observer.Connection(-1)
		}
	}
	if !s.clients.enter(info.Remote) && err == nil {
		err = errors.New("the client's address has as many connections as it may")
	}
	if err != nil {
		s.proxy.log.V(1).Info("connection refused", "cause", err.Error())
		_ = c.Close()
		release()
		return
	}
	if s.proxy.tls != nil && !(s.proxy.plain && s.startsPlain(c)) {
		s.proxy.plane.secure(c, info, release)
		return
	}
	info.Secure = false
	s.proxy.plane.serve(c, info, release)
}

// startsPlain reports whether the client starts with something else than a TLS handshake (RFC 8446 section 5.1).
func (s *sockets) startsPlain(c net.Conn) bool {
	const handshake = 22
	_ = c.SetReadDeadline(time.Now().Add(s.proxy.limits.ReadHead))
	b, err := firstByte(c)
	_ = c.SetReadDeadline(time.Time{})
	return err == nil && b != handshake
}

// describe finds out where a connection goes.
func (s *sockets) describe(c net.Conn, listen target) (connInfo, error) {
	info := connInfo{Port: listen.port(c.LocalAddr()), Upstream: listen.url, Secure: s.proxy.tls != nil}
	if peer, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		info.Remote = peer.AddrPort().Addr().Unmap()
	}
	if !listen.Redirect {
		return info, nil
	}
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return info, fmt.Errorf("redirect: a %T has no original destination", c)
	}
	dst, err := capture.OriginalDst(tcp)
	if err != nil {
		return info, err
	}
	if slices.Contains(s.ports, int(dst.Port())) {
		return info, fmt.Errorf("redirect: port %d is the sidecar's own", dst.Port())
	}
	app := listen.AppAddress
	if !app.IsValid() {
		if app, err = s.own.find(dst.Addr()); err != nil {
			return info, fmt.Errorf("redirect: %w", err)
		}
	}
	info.Port, info.Captured = int(dst.Port()), true
	info.Upstream = &url.URL{Scheme: "http", Host: netip.AddrPortFrom(app, dst.Port()).String()}
	return info, nil
}

// Bounds of TLS handshakes. One that stops half-way holds ten times as much as a connection that waits for a request.
const (
	mostHandshakes   = 1000            // at a time; others wait for their turn
	crowdedHandshake = 2 * time.Second // for one, where more than half as many are under way
)

// secure does the TLS handshake, and then serves what the client and we agreed on (RFC 7301). The handshake has a goroutine
// of its own, as there is little on its stack: one that waits for the client's first message needs but half of it then.
func (s *sockets) secure(c net.Conn, info connInfo, release func()) {
	s.handshakes.take(func() {
		below := &relay.Below{Conn: c}
		t := tls.Server(below, s.proxy.tls)
		go func() {
			err := s.shakeHands(t)
			s.handshakes.leave()
			go s.secured(t, below, err, info, release)
		}()
	}, func() {
		_ = c.Close()
		release()
	})
}

// shakeHands does the handshake. Given a context, TLS would need a goroutine for it.
func (s *sockets) shakeHands(t *tls.Conn) error {
	stop := context.AfterFunc(s.ctx, func() { _ = t.NetConn().Close() })
	defer stop()
	limit := s.proxy.limits.ReadHead
	if s.handshakes.crowded() {
		limit = min(limit, crowdedHandshake)
	}
	_ = t.SetDeadline(time.Now().Add(limit)) // closed already, if it fails
	if err := t.Handshake(); err != nil {    //nolint:noctx // above
		return err
	}
	return t.SetDeadline(time.Time{})
}

// secured serves a connection after the handshake, which may have failed.
func (s *sockets) secured(t *tls.Conn, below *relay.Below, err error, info connInfo, release func()) {
	if err != nil {
		s.handshakeFailed(err, &info)
		_ = below.Close()
		release()
		return
	}
	state := t.ConnectionState()
	info.ClientCert = clientCert(&state)
	if state.NegotiatedProtocol != "h2" {
		s.proxy.relay.Serve(t, info, release)
		return
	}
	s.proxy.http2.places.take(func() {
		below.Replace(newGathered(relay.NewHTTP2Conn(below.Conn, nil, s.proxy.limits.Write)))
		s.proxy.http2.serve(&http2Conn{proxy: s.proxy, info: info, release: release, net: t})
	}, func() { sendAway(t, release) })
}

// handshakeFailed logs why a handshake failed.
func (s *sockets) handshakeFailed(err error, info *connInfo) {
	cause := err.Error()
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		cause = s.proxy.relay.Meet(head.NoTLS, info)
	}
	s.proxy.log.V(1).Info("TLS handshake failed", "cause", cause)
}
