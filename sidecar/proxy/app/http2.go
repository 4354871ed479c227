package app

import (
	"crypto/x509"
	"net"

	"github.com/bearerguard/bearerguard/sidecar/proxy/exchange"
	"github.com/bearerguard/bearerguard/sidecar/proxy/frame"
	"github.com/bearerguard/bearerguard/sidecar/proxy/head"
	"github.com/bearerguard/bearerguard/sidecar/proxy/loop"
)

// HTTP2 is a connection to the app that speaks HTTP/2. What its streams have to say in a turn of the loop goes out at the end of it,
// in one write.
type HTTP2 struct {
	set    *Set
	conn   *loop.Conn
	frames *frame.Conn
	calls  frame.Streams[call]
	timer  loop.Timer // for dialling, and for the next request
	in     loop.Buffer

	waiting []*pending // for the app to say how many calls it takes

	connected bool
	busy      bool // it has been given a call
	lets      bool // calls do not wait for the app to say how many it takes, or any longer
	used      bool // an answer has come
	reading   bool // what is to be written is written in any case
	closed    bool
	cut       bool // a request has been given up before all of it was sent
}

// Shared is what the connections of a loop share.
type Shared struct {
	// HTTP2 says what requests of HTTP/2 clients come in.
	HTTP2 Protocol
	// Roots are the authorities that are trusted where the app speaks TLS; nil: those of the system.
	Roots *x509.CertPool
	// Resolver looks up a name; nil: net.DefaultResolver.
	Resolver *net.Resolver

	pool   frame.Pool
	fields frame.Fields  // of the head that is being written
	res    head.Response // the head that has been read
	calls  loop.Spare[call]
	lines  lines // of a head of HTTP/1.1 that is being written
}

// Bounds of what an app sends that no client has taken. A stream has its own; what all of them send must not keep one from going on.
const (
	streamWindow = 64 << 10
	connWindow   = 1 << 30
	sendQueue    = 256 << 10 // what is given at a time, at most, and what is held before the client is held up
)

// newHTTP2 returns what a connection is served with.
func (s *Set) newHTTP2() *HTTP2 {
	a := &HTTP2{set: s}
	a.frames = frame.NewClient(frame.Config{
		HeadBytes: answerLimits.Bytes, Fields: answerLimits.Fields, Window: streamWindow, ConnWindow: connWindow, Queue: sendQueue,
	}, &s.Shared.pool, a)
	s.http2 = append(s.http2, a)
	return a
}

func (s *Set) dialHTTP2() *HTTP2 {
	a := s.newHTTP2()
	a.conn = s.host.Loop.Dial(s.to, a)
	a.timer = loop.Timer{Do: a.wake, Of: a.conn}
	if d := s.host.Limits.Dial; d > 0 {
		s.host.Loop.Set(&a.timer, d)
	}
	return a
}

// adoptHTTP2 takes a connection that has been made.
func (s *Set) adoptHTTP2(c *loop.Conn) *HTTP2 {
	a := s.newHTTP2()
	a.conn, a.connected = c, true
	a.timer = loop.Timer{Do: a.wake, Of: c}
	c.Handle(a)
	c.Again()
	a.rest() // a connection that was there before may take the call
	return a
}

// openHTTP2 has a connection get a request that takes one more. The first one of a connection goes out at once. Others wait until the app has
// said how many it takes: what is beyond that it would refuse, and not every request can be sent again.
func (s *Set) openHTTP2(x *exchange.Exchange) {
	for _, a := range s.http2 {
		if a.frames.CanOpen() {
			if a.busy && !a.lets {
				a.wait(x)
				return
			}
			a.busy = true
			if a.connected {
				a.timer.Rest()
			}
			x.Forward(s.Shared.call(a, x))
			return
		}
	}
	if !s.near {
		s.dialAway(x, true)
		return
	}
	a := s.dialHTTP2()
	a.busy = true
	x.Forward(s.Shared.call(a, x))
}

// Connected implements loop.Handler.
func (a *HTTP2) Connected(_ *loop.Conn, err error) {
	a.set.host.Loop.Stop(&a.timer)
	if err != nil {
		a.fail(err)
		return
	}
	a.connected = true
	a.rest()
	a.hurry()
	a.touch()
}

// Failed implements loop.Handler. An app that takes no more may have answered before.
func (a *HTTP2) Failed(c *loop.Conn, err error) {
	if !c.ReadOn(err) {
		a.fail(err)
		return
	}
	a.set.forgetHTTP2(a) // nothing more can be asked
}

// Drained implements loop.Handler.
func (a *HTTP2) Drained(*loop.Conn) { a.flush() }

// Readable implements loop.Handler. It is called too when there is something to be written.
func (a *HTTP2) Readable(c *loop.Conn) {
	a.reading = true
	defer func() { a.reading = false }()
	for pieces := 0; !a.closed; pieces++ {
		if pieces == turn {
			c.Again()
			break
		}
		b, err := c.Read()
		if len(b) > 0 {
			a.feed(b)
			continue
		}
		if err != nil {
			a.fail(err)
			return
		}
		break
	}
	a.flush()
}

func (a *HTTP2) feed(b []byte) {
	var err error
	a.in.Feed(b, func(b []byte) (n int) {
		n, err = a.frames.Feed(b, a.set.host.Loop.Now())
		return n
	})
	if err != nil {
		a.set.host.Log.V(1).Info("connection to the app ended", "cause", err.Error())
		a.flush()
		a.fail(exchange.Breach(err))
		return
	}
	if !a.lets && a.frames.Greeted() {
		a.let()
	}
}

// touch has what is to be written go out when the turn ends.
func (a *HTTP2) touch() {
	if !a.reading {
		a.conn.Again()
	}
}

// flush writes what is to be written, as far as the app takes it.
func (a *HTTP2) flush() {
	for a.connected && !a.closed && a.conn.Queued() == 0 {
		out := a.frames.Output()
		if len(out) == 0 {
			return
		}
		a.conn.Write(out)
		a.frames.Wrote()
	}
}

// wake is called when dialling has taken too long, or nothing was asked for a while.
func (a *HTTP2) wake() {
	switch {
	case !a.connected:
		a.fail(errDial)
	case len(a.waiting) > 0:
		a.let()
	case a.calls.Len() == 0:
		a.fail(nil)
	}
}

// fail ends the connection, and what has been asked on it.
func (a *HTTP2) fail(err error) {
	if a.closed {
		return
	}
	a.closed = true
	a.set.forgetHTTP2(a)
	a.set.host.Loop.Stop(&a.timer)
	for k := a.calls.Pop(); k != nil; k = a.calls.Pop() {
		k.fail(err, k.repeatable())
	}
	waiting := a.waiting
	a.waiting = nil
	for _, p := range waiting {
		if x := p.x; x == nil || !a.connected {
			p.fail(err)
		} else {
			x.Guard(func() {
				if !x.SendAgain() { // nothing of it has been sent
					p.fail(err)
				}
			})
		}
	}
	a.in.Drop()
	if err != nil || a.cut || !a.connected {
		a.frames.Close()
		a.conn.Drop()
		return
	}
	for out := a.frames.Output(); len(out) > 0; out = a.frames.Output() {
		a.conn.Write(out)
		a.frames.Wrote()
	}
	a.frames.Close()
	a.set.host.Leave(a.conn)
}

// rest is for a connection on which something has ended.
func (a *HTTP2) rest() {
	if a.calls.Len() == 0 && len(a.waiting) == 0 && a.connected && !a.closed {
		a.set.host.Loop.Set(&a.timer, kept)
	}
}

// Headers implements frame.Handler.
func (a *HTTP2) Headers(id uint32, h *frame.Head) {
	k := a.calls.Get(id)
	if k == nil || k.x == nil {
		return
	}
	r := a.set.Shared.response(h)
	if h.Status < 200 {
		k.x.Interim(r)
		return
	}
	switch {
	case bool(h.End), k.x.Bodiless(h.Status): // nobody waits for an end of what has no body: it may never come
		r.Length = max(r.Length, 0)
		k.leave().Answers(r, true)
		return
	case r.Length == 0: // trailers follow; who gets them speaks HTTP/2, too, where a length may stand before them
		r.Length = -1
	}
	k.x.Answers(r, false)
}

// response is a head as HTTP/1.1 would have it.
func (s *Shared) response(h *frame.Head) *head.Response {
	r := &s.res
	*r = head.Response{Status: h.Status, Message: head.Message{Length: h.Length, KeepAlive: true, Fields: r.Fields[:0]}}
	for i := range h.Fields {
		r.Fields = append(r.Fields, head.FieldOf(h.Fields[i].Name, h.Fields[i].Value))
	}
	return r
}

// Data implements frame.Handler.
func (a *HTTP2) Data(id uint32, p []byte, end frame.End) {
	k := a.calls.Get(id)
	if k == nil {
		a.frames.Took(id, len(p))
		return
	}
	if len(p) > 0 {
		k.in.Data(k, p)
	}
	if end {
		k.in.End(k, nil)
	}
}

// Trailers implements frame.Handler.
func (a *HTTP2) Trailers(id uint32, fields []frame.Field) {
	k := a.calls.Get(id)
	if k == nil {
		return
	}
	trailers := k.trailers[:0]
	for i := range fields {
		if f := head.FieldOf(fields[i].Name, fields[i].Value); exchange.Trails(f.Kind) {
			trailers = append(trailers, f)
		}
	}
	k.in.End(k, trailers)
}

// Reset implements frame.Handler.
func (a *HTTP2) Reset(id uint32, code frame.Code, why error) {
	k := a.calls.Get(id)
	if k == nil {
		return
	}
	a.calls.Remove(id)
	if why != nil {
		k.fail(exchange.Breach(why), false)
	} else {
		k.fail(&exchange.Aborted{Code: uint32(code), Name: code.String()}, code == frame.RefusedStream)
	}
	a.rest()
}

// Sent implements frame.Handler.
func (a *HTTP2) Sent(id uint32, n int) {
	k := a.calls.Get(id)
	if k == nil {
		return
	}
	if k.queues(-n); k.x != nil && !k.Full() {
		k.x.AppTakes()
	}
}
