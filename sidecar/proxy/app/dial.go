package app

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/bearerguard/bearerguard/sidecar/proxy/exchange"
	"github.com/bearerguard/bearerguard/sidecar/proxy/loop"
)

// dialling is a connection to an app that is known by a name, or that speaks TLS: a goroutine looks the name up and connects, and
// another one does the handshake.
type dialling struct {
	set       *Set
	waiting   []*pending
	protocols []string // of which an app that speaks TLS chooses (RFC 7301)
	cancel    context.CancelFunc
	until     time.Time
	shaking   *loop.Conn // whose handshake is under way
	over      bool
}

// noLimit is in place of a limit of the time that connecting may take.
const noLimit = time.Hour

func (d *dialling) start() {
	limit := noLimit
	if l := d.set.host.Limits.Dial; l > 0 {
		limit = l
	}
	d.until = d.set.host.Loop.Now().Add(limit)
	var ctx context.Context
	ctx, d.cancel = context.WithDeadline(context.Background(), d.until)
	go func() {
		fd, err := connect(ctx, d.set.Host, d.set.Shared.Resolver)
		if !d.set.host.Loop.Post(func() { d.take(fd, err) }) && err == nil {
			_ = unix.Close(fd)
		}
	}()
}

// connect returns a socket that does not block.
func connect(ctx context.Context, host string, resolver *net.Resolver) (fd int, err error) {
	c, err := (&net.Dialer{Resolver: resolver}).DialContext(ctx, "tcp", host)
	if err != nil {
		return -1, err
	}
	return loop.Detach(c.(*net.TCPConn))
}

// take takes the socket.
func (d *dialling) take(fd int, err error) {
	if d.over {
		if err == nil {
			_ = unix.Close(fd)
		}
		return
	}
	var c *loop.Conn
	if err == nil {
		c, err = d.set.host.Loop.Add(fd, loop.Nobody{})
	}
	switch {
	case err != nil:
		d.failed(err)
	case d.set.Secure:
		c.Guard(func() { d.shakeHands(c) })
	default:
		c.Guard(func() { d.connected(c, "") })
	}
}

func (d *dialling) shakeHands(c *loop.Conn) {
	name, _, _ := net.SplitHostPort(d.set.Host)
	cfg := &tls.Config{ServerName: name, MinVersion: tls.VersionTLS12, NextProtos: d.protocols, RootCAs: d.set.Shared.Roots}
	limit := max(d.until.Sub(d.set.host.Loop.Now()), loop.Tick)
	d.shaking = c
	c.Handshake(func(below net.Conn) *tls.Conn { return tls.Client(below, cfg) }, limit, func(t *tls.Conn, err error) {
		d.shaking = nil
		switch {
		case d.over:
			c.Close()
		case err != nil:
			c.Close()
			if exchange.TimedOut(err) {
				err = errDial
			}
			d.failed(err)
		default:
			d.connected(c, t.ConnectionState().NegotiatedProtocol)
		}
	})
}

// address returns where to connect to, if that is all there is to it.
func (o *Options) address() (netip.AddrPort, bool) {
	to, err := netip.ParseAddrPort(o.Host)
	return to, err == nil && !o.Secure
}
