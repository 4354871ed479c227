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
	taken uint64        // what the app had taken when it was looked at
	until time.Time     // it has to take more
	look  time.Duration // until it is looked at again
}

// Leave closes a connection to the app once the app has taken all that it was sent, or has taken none of it for Limits.Write. If it were closed
// before, the kernel would keep what is left for minutes, and Loop.Relieve could not end that. What the app says is read, and dropped: a
// connection that is closed with something unread is reset.
func (h *Host) Leave(c *loop.Conn) {
	if !c.Owes() {
		c.Close()
		return
	}
	p := &parting{host: h, conn: c, until: h.Loop.Now().Add(h.Limits.Write), look: loop.Tick}
	p.taken, _ = c.Taken()
	p.timer = loop.Timer{Do: p.wake, Of: c}
	h.Loop.Set(&p.timer, p.look)
	c.Handle(p)
	c.Again()
}

func (p *parting) wake() {
	if !p.conn.Owes() {
		p.conn.Close()
		return
	}
	now := p.host.Loop.Now()
	if taken, _ := p.conn.Taken(); taken != p.taken {
		p.taken, p.until = taken, now.Add(p.host.Limits.Write)
	}
	if p.host.Limits.Write > 0 && !now.Before(p.until) {
		p.conn.Reset()
		return
	}
	p.look = min(2*p.look, time.Second)
	p.host.Loop.Set(&p.timer, p.look)
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
