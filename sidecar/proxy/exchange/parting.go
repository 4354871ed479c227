package exchange

import (
	"time"

	"github.com/bearerguard/bearerguard/sidecar/proxy/loop"
)

// parting is a connection to the app that has been asked the last. It is open until the app has taken all of that.
type parting struct {
	host  *Host
	conn  *loop.Conn
	timer loop.Timer
	until time.Time
	look  time.Duration // until it is looked at again
}

// Leave closes a connection to the app once the app has taken all that it was sent, or has had Limits.Write for that. If it were closed before, the
// kernel would keep what is left for minutes, and Loop.Relieve could not end that. What the app says is read, and dropped: a connection that
// is closed with something unread is reset.
func (h *Host) Leave(c *loop.Conn) {
	if !c.Owes() {
		c.Close()
		return
	}
	p := &parting{host: h, conn: c, until: h.Loop.Now().Add(h.Limits.Write), look: loop.Tick}
	p.timer = loop.Timer{Do: p.wake, Of: c}
	h.Loop.Set(&p.timer, p.look)
	c.Handle(p)
	c.Again()
}

func (p *parting) wake() {
	switch owes := p.conn.Owes(); {
	case !owes:
		p.conn.Close()
	case p.host.Limits.Write > 0 && !p.host.Loop.Now().Before(p.until):
		p.conn.Reset()
	default:
		p.look = min(2*p.look, time.Second)
		p.host.Loop.Set(&p.timer, p.look)
	}
}

// Connected implements loop.Handler.
func (*parting) Connected(*loop.Conn, error) {}

// Drained implements loop.Handler.
func (*parting) Drained(*loop.Conn) {}

// Failed implements loop.Handler.
func (*parting) Failed(*loop.Conn, error) {}

// Readable implements loop.Handler.
func (p *parting) Readable(c *loop.Conn) {
	for range turn {
		if b, err := c.Read(); len(b) == 0 || err != nil {
			return
		}
	}
	c.Again()
}
