package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"sync/atomic"
	"time"

	"github.com/bearerguard/bearerguard/sidecar/capture"
	"github.com/bearerguard/bearerguard/sidecar/proxy/exchange"
)

// sockets accepts on all sockets, finds out where connections go, and gives them to the loops.
type sockets struct {
	proxy *Proxy
	list  []net.Listener
	ports []int           // our own, which must not be forwarded to
	room  chan struct{}   // holds one for each connection
	ctx   context.Context //nolint:containedctx // ends the goroutines that accept
	stop  context.CancelFunc

	waiting atomic.Int32 // goroutines that wait for a place
	full    pressure     // while any does

	clients clients
	own     ownAddresses
	release func(netip.Addr) // s.left, made once
}

// listen opens all sockets, or none.
func (p *Proxy) listen(ctx context.Context) (*sockets, error) {
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx)) // Run says when it is over
	s := &sockets{
		proxy: p, room: make(chan struct{}, p.config.Limits.Connections), ctx: ctx, stop: stop,
		clients: clients{most: p.config.Limits.PerClient, open: map[netip.Addr]int{}},
	}
	s.release = s.left
	s.full = pressure{
		waits: func() bool { return s.waiting.Load() > 0 },
		relax: func() { p.loops.makeWay(cap(s.room), anyMember) },
		say: func() {
			p.config.Log.Info("clients wait: as many connections are open as --max-connections and the memory limit allow", "connections", cap(s.room))
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
	for _, l := range s.list {
		_ = l.Close()
	}
}

// wait is for after close. It returns when all connections have ended: when all places can be had.
func (s *sockets) wait(ctx context.Context) error {
	for range cap(s.room) {
		select {
		case s.room <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (s *sockets) acceptAll(l net.Listener, listen target) {
	pause := time.Duration(0)
	for {
		c, err := l.Accept()
		if err != nil {
			if s.ctx.Err() != nil {
				return
			}
			// Out of file descriptors, say: wait a little for some to be given back.
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			s.proxy.config.Log.Error(err, "cannot accept", "address", listen.Address)
			select {
			case <-time.After(pause):
			case <-s.ctx.Done():
			}
			continue
		}
		pause = 0
		if !s.enter() {
			_ = c.Close()
			return
		}
		go s.welcome(c, listen)
	}
}

// enter takes a place for a connection once there is one; false: no more are served. Where there is none, one that waits for a next request
// makes way; where none does, further clients wait in the kernel's queue.
func (s *sockets) enter() bool {
	select {
	case s.room <- struct{}{}:
		return true
	default:
	}
	s.waiting.Add(1)
	defer s.waiting.Add(-1)
	s.full.rises()
	select {
	case s.room <- struct{}{}:
		return true
	case <-s.ctx.Done():
		return false
	}
}

// welcome makes a connection ready to be served.
func (s *sockets) welcome(c net.Conn, listen target) {
	if s.proxy.config.Observer != nil {
		s.proxy.config.Observer.Connection(+1)
	}
	info, err := s.describe(c, listen)
	if !s.clients.enter(info.Remote) && err == nil {
		err = errors.New("the client's address has as many connections as it may")
	}
	if err != nil {
		s.proxy.config.Log.V(1).Info("connection refused", "cause", err.Error())
		_ = c.Close()
		s.left(info.Remote)
		return
	}
	if s.proxy.config.TLS != nil && !(s.proxy.config.Plaintext && s.startsPlain(c)) {
		s.proxy.loops.secure(c, info, s.release)
		return
	}
	info.Secure = false
	s.proxy.loops.serve(c, info, s.release)
}

// left is for a connection that has ended.
func (s *sockets) left(client netip.Addr) {
	s.clients.leave(client)
	if s.proxy.config.Observer != nil {
		s.proxy.config.Observer.Connection(-1)
	}
	<-s.room
}

// startsPlain reports whether the client starts with something else than a TLS handshake (RFC 8446 section 5.1).
func (s *sockets) startsPlain(c net.Conn) bool {
	const handshake = 22
	_ = c.SetReadDeadline(time.Now().Add(s.proxy.config.Limits.ReadHead))
	defer context.AfterFunc(s.ctx, func() { _ = c.SetReadDeadline(time.Now().Add(lastHandshake)) })()
	b, err := firstByte(c)
	_ = c.SetReadDeadline(time.Time{})
	return err == nil && b != handshake
}

// describe finds out where a connection goes.
func (s *sockets) describe(c net.Conn, listen target) (exchange.Info, error) {
	info := exchange.Info{Port: listen.port(c.LocalAddr()), Upstream: listen.url, Secure: s.proxy.config.TLS != nil}
	if peer, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		info.Remote = peer.AddrPort().Addr().Unmap()
		info.Trusted = s.proxy.trusts(info.Remote)
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

// trusts reports whether what a peer says of whom it speaks for is passed on.
func (p *Proxy) trusts(a netip.Addr) bool {
	for _, prefix := range p.config.TrustForwarded {
		if prefix.Contains(a) {
			return true
		}
	}
	return false
}
