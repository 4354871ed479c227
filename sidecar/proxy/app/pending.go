package app

import (
	"slices"
	"time"

	"github.com/bearerguard/bearerguard/sidecar/proxy/exchange"
	"github.com/bearerguard/bearerguard/sidecar/proxy/head"
	"github.com/bearerguard/bearerguard/sidecar/proxy/loop"
)

// pending stands for the app while a connection to it is made that takes more than an address, or while a connection waits to be told how
// many calls it may have.
type pending struct {
	set      *Set
	x        *exchange.Exchange // nil: nobody waits any more
	dial     *dialling          // what it waits for,
	conn     *HTTP2             // or this
	early    loop.Buffer        // the beginning of the body
	whole    bool
	trailers []head.Field
	again    bool // it was sent once before, or has waited for a connection that failed
}

// dialAway connects for a request. Those for HTTP/2 that come meanwhile share the connection.
func (s *Set) dialAway(x *exchange.Exchange, overHTTP2 bool) *pending {
	p := &pending{set: s, x: x}
	if overHTTP2 && s.dialling != nil {
		p.dial = s.dialling
		p.dial.waiting = append(p.dial.waiting, p)
		return p
	}
	p.dial = &dialling{set: s, waiting: []*pending{p}, protocols: []string{"http/1.1"}}
	if overHTTP2 {
		p.dial.protocols = []string{"h2", "http/1.1"}
		s.dialling = p.dial
	}
	p.dial.start()
	return p
}

// wait returns what stands for a call until the app has said how many it takes.
func (a *HTTP2) wait(x *exchange.Exchange) *pending {
	p := &pending{set: a.set, x: x, conn: a}
	if a.waiting = append(a.waiting, p); len(a.waiting) == 1 {
		a.hurry()
	}
	return p
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

// Head implements exchange.App: what the exchange has of it lasts.
func (*pending) Head(*exchange.Exchange) {}

// Data implements exchange.App.
func (p *pending) Data(b []byte) { p.early.Append(b) }

// Finish implements exchange.App.
func (p *pending) Finish(trailers []head.Field) {
	p.whole, p.trailers = true, head.Clone(trailers)
}

// Full implements exchange.App.
func (*pending) Full() bool { return true }

// Taken implements exchange.App.
func (*pending) Taken() uint64 { return 0 }

// Want implements exchange.App.
func (*pending) Want() {}

// Cancel implements exchange.App.
func (p *pending) Cancel() {
	p.x = nil
	p.early.Drop()
	if p.conn != nil {
		p.conn.leave(p)
		return
	}
	p.dial.leave(p)
}

// goOn gives what has been said to the app.
func (p *pending) goOn(to exchange.App) {
	x := p.x
	if k, ok := to.(*call); ok {
		k.again = p.again
	}
	x.Moves(to)
	to.Head(x)
	if x.GoesTo(to) && p.early.Len() > 0 {
		to.Data(p.early.Bytes())
	}
	p.early.Drop()
	switch {
	case !x.GoesTo(to):
	case p.whole:
		to.Finish(p.trailers)
	case !to.Full():
		x.AppTakes()
	}
}

// fail tells of an app that cannot be connected to.
func (p *pending) fail(err error) {
	if x := p.x; x != nil {
		p.x = nil
		p.early.Drop()
		x.AppFails(err)
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
	s.onlyHTTP1 = s.Secure && len(d.protocols) > 1
	for i, p := range waiting {
		switch {
		case p.x == nil:
		case i == 0:
			p.goOn(s.adopt(c, p.x))
		default:
			p.passTo(s.dialAway(p.x, false))
		}
	}
}

// openHTTP2 goes on over HTTP/2. The connection that was waited for takes only so many calls (RFC 9113 section 5.1.2); others wait for
// a further one.
func (p *pending) openHTTP2() {
	if p.x == nil {
		return
	}
	to := p.set.openHTTP2(p.x)
	if other, ok := to.(*pending); ok {
		p.passTo(other)
		return
	}
	p.goOn(to)
}

// passTo has another one wait in its place.
func (p *pending) passTo(other *pending) {
	other.early, other.whole, other.trailers, other.again = p.early, p.whole, p.trailers, p.again
	p.x.Moves(other)
}

// failed tells those who wait.
func (d *dialling) failed(err error) {
	waiting := d.waiting
	d.end()
	for _, p := range waiting {
		p.fail(err)
	}
}
