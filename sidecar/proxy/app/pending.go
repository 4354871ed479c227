package app

import (
	"slices"
	"time"

	"github.com/bearerguard/bearerguard/sidecar/proxy/exchange"
	"github.com/bearerguard/bearerguard/sidecar/proxy/loop"
)

// pending waits for a connection that takes more to be made than an address, or for one to be told how many calls it may have.
type pending struct {
	set  *Set
	x    *exchange.Exchange // nil: nobody waits any more
	dial *dialling          // what it waits for,
	conn *HTTP2             // or this
}

// dialAway connects for a request. Those for HTTP/2 that come meanwhile share the connection.
func (s *Set) dialAway(x *exchange.Exchange, overHTTP2 bool) {
	p := &pending{set: s, x: x}
	x.Waits(p)
	if overHTTP2 && s.dialling != nil {
		p.dial = s.dialling
		p.dial.waiting = append(p.dial.waiting, p)
		return
	}
	p.dial = &dialling{set: s, waiting: []*pending{p}, protocols: []string{"http/1.1"}}
	if overHTTP2 {
		p.dial.protocols = []string{"h2", "http/1.1"}
		s.dialling = p.dial
	}
	p.dial.start()
}

// wait has a call wait until the app has said how many it takes.
func (a *HTTP2) wait(x *exchange.Exchange) {
	p := &pending{set: a.set, x: x, conn: a}
	x.Waits(p)
	if a.waiting = append(a.waiting, p); len(a.waiting) == 1 {
		a.hurry()
	}
}

// greeting is how long calls wait for an app to say how many it takes. One that hangs is to be waited for as any other is, within the limits of
// each call.
const greeting = time.Second

// hurry bounds the time for which calls wait.
func (a *HTTP2) hurry() {
	if a.connected && len(a.waiting) > 0 {
		a.set.host.Loop.Set(&a.timer, greeting)
	}
}

// let lets the calls go that wait.
func (a *HTTP2) let() {
	waiting := a.waiting
	a.lets, a.waiting = true, nil
	for _, p := range waiting {
		p.openHTTP2()
	}
	if len(waiting) > 0 {
		a.rest()
	}
}

// leave is for a call that nobody waits for any more.
func (a *HTTP2) leave(p *pending) {
	if i := slices.Index(a.waiting, p); i >= 0 {
		a.waiting = slices.Delete(a.waiting, i, i+1)
		a.rest()
	}
}

// Cancel implements exchange.Waiter.
func (p *pending) Cancel() {
	p.x = nil
	if p.conn != nil {
		p.conn.leave(p)
		return
	}
	p.dial.leave(p)
}

// fail tells of an app that cannot be connected to.
func (p *pending) fail(err error) {
	if x := p.x; x != nil {
		p.x = nil
		x.Guard(func() { x.AppFails(err) })
	}
}

// leave is for a request that nobody waits for any more.
func (d *dialling) leave(p *pending) {
	if i := slices.Index(d.waiting, p); i >= 0 {
		d.waiting = slices.Delete(d.waiting, i, i+1)
	}
	if len(d.waiting) == 0 {
		d.end()
	}
}

// end ends a dialling that nobody waits for.
func (d *dialling) end() {
	d.over = true
	d.waiting = nil // who goes on with what they said may leave while others are told
	d.cancel()
	if d.shaking != nil {
		d.shaking.Cut()
	}
	if d.set.dialling == d {
		d.set.dialling = nil
	}
}

// connected gives the connection to those who wait.
func (d *dialling) connected(c *loop.Conn, protocol string) {
	s, waiting := d.set, d.waiting
	d.end()
	if protocol == "h2" || len(d.protocols) > 1 && !s.Secure {
		s.adoptHTTP2(c)
		for _, p := range waiting {
			p.openHTTP2()
		}
		return
	}
	s.onlyHTTP1 = s.onlyHTTP1 || len(d.protocols) > 1
	for i, p := range waiting {
		switch {
		case p.x == nil:
		case i == 0:
			p.x.Guard(func() { p.x.Forward(s.adopt(c, p.x)) })
		default:
			p.x.Guard(func() { s.dialAway(p.x, false) })
		}
	}
}

// openHTTP2 goes on over HTTP/2. The connection that was waited for takes only so many calls (RFC 9113 section 5.1.2); others wait for
// a further one.
func (p *pending) openHTTP2() {
	if x := p.x; x != nil {
		x.Guard(func() { p.set.openHTTP2(x) })
	}
}

// failed tells those who wait.
func (d *dialling) failed(err error) {
	waiting := d.waiting
	d.end()
	for _, p := range waiting {
		p.fail(err)
	}
}
