package relay

import (
	"context"
	"crypto/tls"
	"net"
)

// upstream is a connection to the app.
type upstream struct {
	conn net.Conn
	tcp  *net.TCPConn // nil under TLS
	in   stream
}

// connect returns the connection's own connection to the app, or a new one. fresh wants a new one in any case.
func (x *exchange) connect(fresh bool) (*upstream, error) {
	c := x.c
	if u := c.up; u != nil { // only this goroutine sets it while the phase is not idle
		if !fresh {
			return u, nil
		}
		x.discardUpstream()
	}
	nc, err := c.relay.dial(c.info.Upstream.Scheme, c.info.Upstream.Host)
	if err != nil {
		return nil, err
	}
	u := &upstream{conn: nc}
	u.tcp, _ = nc.(*net.TCPConn)
	u.in.init(nc, mediumBlock, c.relay.reads)
	if !c.setUpstream(u) {
		return nil, net.ErrClosed
	}
	return u, nil
}

// dial connects to the app.
func (r *Relay) dial(scheme, host string) (net.Conn, error) {
	ctx := r.ctx
	if r.Limits.Dial > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, r.Limits.Dial)
		defer cancel()
	}
	var d net.Dialer
	if scheme != "https" {
		return d.DialContext(ctx, "tcp", withPort(host, "80"))
	}
	secure := tls.Dialer{NetDialer: &d, Config: &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}}
	return secure.DialContext(ctx, "tcp", withPort(host, "443"))
}

func withPort(host, port string) string {
	if _, _, err := net.SplitHostPort(host); err == nil {
		return host
	}
	return net.JoinHostPort(host, port)
}

// done gives an idle connection's buffer back. It returns false if the app has said more than it was asked.
func (u *upstream) done() bool {
	u.in.used = true
	if u.in.buf.len() > 0 {
		return false
	}
	u.in.buf.release()
	return true
}

// abort ends what another goroutine reads from or writes to the app.
func (u *upstream) abort() {
	_ = u.conn.SetDeadline(past)
	u.in.end(past)
}

// close closes the connection; its buffer is empty, or somebody else's to give back.
func (u *upstream) close() {
	u.in.lot.leave(&u.in.wait)
	_ = u.conn.Close()
}

// discard closes the connection and drops what it holds.
func (u *upstream) discard() {
	u.close()
	u.in.buf.take(u.in.buf.len())
	u.in.buf.release()
}
