package relay

import (
	"net"
	"time"

	"github.com/bearerguard/bearerguard/sidecar/gate"
)

var _ gate.Client = (*exchange)(nil)

// Left reports whether the client has gone while its request waits for keys. One that has closed its side alone may listen
// still, and is taken for gone after a while.
func (x *exchange) Left() bool {
	c, now := x.c, time.Now().UnixNano()
	side := hangs(socket(c.net))
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.end != endNot, side == sideGone:
		return true
	case side == sideOpen:
		c.goneSince = 0
	case c.goneSince == 0:
		c.goneSince = now
	}
	return c.goneSince != 0 && time.Duration(now-c.goneSince) > halfClosed
}

// socket returns the TCP connection below a client's; nil if it is none.
func socket(c net.Conn) *net.TCPConn {
	for {
		switch b := c.(type) {
		case *net.TCPConn:
			return b
		case *Below:
			c = b.Conn
		case interface{ NetConn() net.Conn }:
			c = b.NetConn()
		default:
			return nil
		}
	}
}
