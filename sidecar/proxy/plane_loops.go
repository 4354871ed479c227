//go:build loops

package proxy

import (
	"context"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"

	apps "github.com/bearerguard/bearerguard/sidecar/proxy/app"
	clients1 "github.com/bearerguard/bearerguard/sidecar/proxy/client"
	ends "github.com/bearerguard/bearerguard/sidecar/proxy/exchange"
	"github.com/bearerguard/bearerguard/sidecar/proxy/head"
	"github.com/bearerguard/bearerguard/sidecar/proxy/loop"
)

// loops serve plain connections of HTTP/1.1 on loops, and gives the others to the relay.
type loops struct {
	proxy *Proxy
	hosts []*ends.Host
	stop  context.CancelFunc // ends waits for verdicts

	mu   sync.Mutex
	open int           // guarded by mu: connections
	gone chan struct{} // holds one while a connection has ended since Wait looked
}

// plane is what serves connections of HTTP/1.1.
type plane = *loops

func newPlane(p *Proxy) (plane, error) {
	c := &ends.Config{
		Gate: p.gate, Gathered: &ends.Gathered{}, Tracer: p.tracer, Log: p.log, Now: p.now,
		Limits: ends.Limits{
			Head:   head.Limits{Bytes: p.limits.HeadBytes, Fields: p.limits.Fields},
			Target: p.limits.URL, Body: p.limits.Body, BodyRate: max(p.limits.BodyRate, 0),
			ReadHead: p.limits.ReadHead, Idle: p.limits.Idle, Write: p.limits.Write,
			Dial: p.limits.Dial, Response: p.limits.Response,
		},
		Foreign: func(f head.Foreign, i *ends.Info) string {
			return p.relay.Meet(f, &connInfo{Port: i.Port, Captured: i.Captured})
		},
	}
	if p.observer != nil {
		c.Observe = p.observer.Request
	}
	ctx, stop := context.WithCancel(context.Background())
	ls := &loops{proxy: p, gone: make(chan struct{}, 1), stop: stop}
	for range runtime.GOMAXPROCS(0) {
		l, err := loop.New(loop.Options{Panicked: func(stack []byte) {
			p.log.Error(nil, "panic while serving a connection, which is closed", "stack", string(stack))
		}})
		if err != nil {
			return nil, err
		}
		ls.hosts = append(ls.hosts, ends.NewHost(ctx, c, l))
		go l.Run()
	}
	return ls, nil
}

// serve serves a connection that speaks HTTP, as far as is known.
func (ls *loops) serve(c net.Conn, info connInfo, release func()) {
	tcp, ok := c.(*net.TCPConn)
	if !ok || info.Upstream == nil || info.Upstream.Scheme != "http" {
		ls.proxy.relay.Serve(c, info, release)
		return
	}
	to, err := net.ResolveTCPAddr("tcp", hostPort(info.Upstream.Host))
	if err != nil {
		ls.proxy.relay.Serve(c, info, release)
		return
	}
	fd, err := detach(tcp)
	if err != nil {
		_ = c.Close()
		release()
		return
	}
	best := ls.hosts[0]
	for _, h := range ls.hosts[1:] {
		if h.Loop.Size() < best.Loop.Size() {
			best = h
		}
	}
	ls.mu.Lock()
	ls.open++
	ls.mu.Unlock()
	if !best.Loop.Post(func() { ls.take(best, fd, to.AddrPort(), info, release) }) {
		_ = unix.Close(fd)
		ls.left(release)
	}
}

func (ls *loops) take(h *ends.Host, fd int, to netip.AddrPort, info connInfo, release func()) {
	conn, err := h.Loop.Add(fd, nil)
	if err != nil {
		ls.left(release)
		return
	}
	set := apps.NewSet(h, to)
	i := ends.Info{
		Port: info.Port, Upstream: info.Upstream, Secure: info.Secure, Captured: info.Captured, Remote: info.Remote,
		ClientCert: info.ClientCert, Trusted: ls.proxy.trusts(info.Remote),
	}
	clients1.NewHTTP1(conn, ends.NewConn(h, i, set), clients1.Options{
		Gone: func() { set.Close(); ls.left(release) },
		HTTP2: func(fd int, read []byte) {
			set.Close()
			ls.left(func() {})
			f := os.NewFile(uintptr(fd), "")
			c, err := net.FileConn(f)
			_ = f.Close()
			if err != nil {
				release()
				return
			}
			go ls.proxy.sockets.http2(c, read, info, release)
		},
	})
}

func (ls *loops) left(release func()) {
	release()
	ls.mu.Lock()
	ls.open--
	ls.mu.Unlock()
	select {
	case ls.gone <- struct{}{}:
	default:
	}
}

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

func hostPort(host string) string {
	if _, _, err := net.SplitHostPort(host); err == nil {
		return host
	}
	return net.JoinHostPort(host, "80")
}

func (ls *loops) each(do func(*ends.Host)) {
	for _, h := range ls.hosts {
		h.Loop.Post(func() { do(h) })
	}
}

func (ls *loops) retire() { ls.each(func(h *ends.Host) { h.Draining = true }) }
func (ls *loops) stay()   { ls.each(func(h *ends.Host) { h.Draining = false }) }
func (ls *loops) clear()  { ls.each(func(h *ends.Host) { h.Clear(false) }) }
func (ls *loops) drain() {
	ls.each(func(h *ends.Host) {
		h.Draining, h.Closing = true, true
		h.Clear(true)
	})
}

func (ls *loops) wait(ctx context.Context) error {
	for {
		ls.mu.Lock()
		n := ls.open
		ls.mu.Unlock()
		if n == 0 {
			return nil
		}
		select {
		case <-ls.gone:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (ls *loops) close() {
	ls.stop()
	for _, h := range ls.hosts {
		h.Loop.Close()
	}
}
