package client

import (
	"time"

	"github.com/bearerguard/bearerguard/sidecar/proxy/exchange"
	"github.com/bearerguard/bearerguard/sidecar/proxy/loop"
)

// base is what connections of both versions of HTTP are, and how they end.
type base struct {
	host  *exchange.Host
	conn  *loop.Conn
	of    *exchange.Conn
	owner Owner       // nil: it has been told of the end, or has given the connection to another handler
	in    loop.Buffer // what has come and cannot be used yet
	timer loop.Timer  // for what is waited for, and for the connection's end
	stall *stall      // nil: the client has taken all at once so far
	self  closer      // what this is part of

	lingered int // bytes
	since    time.Time
	orderly  bool // the client gets what it has yet to take
}

// closer is a connection of either version.
type closer interface {
	// close ends what the client has asked for, and the connection.
	close()
}

// Owner is whom a connection tells what becomes of it.
type Owner interface {
	// Gone is called when it has ended.
	Gone()
	// HTTP2 gets a connection that speaks HTTP/2 with prior knowledge (RFC 9113 section 3.3), of which read has been read: the preface, and what
	// came with it. Gone is not called.
	HTTP2(read []byte)
}

// Connected implements loop.Handler.
func (*base) Connected(*loop.Conn, error) {}

// Failed implements loop.Handler. Nobody may take what there is of an answer for all of it.
func (b *base) Failed(*loop.Conn, error) {
	b.conn.Reset()
	b.self.close()
}

// End implements exchange.Member.
func (b *base) End() {
	b.orderly = true
	b.conn.Guard(b.self.close)
}

// Bounds of linger.
const (
	lingerSilent = 500 * time.Millisecond // for a client that sends nothing more
	lingerLong   = 10 * time.Second       // for one that does
	lingerBytes  = 16 << 20               // a client that sends a large body reads the answer when it has sent it
)

// linger lets a client read its answer, or what else it is told, before what it still sends makes the kernel reset the connection (RFC 9112
// section 9.6). It ends at the client's close or at a bound.
func (b *base) linger() {
	b.of.HoldsHead(0)
	b.in.Drop()
	b.conn.CloseWrite()
	b.lingered, b.since = 0, b.host.Loop.Now()
	b.host.Loop.Set(&b.timer, lingerSilent)
	b.watch()
	b.conn.Again()
}

// lingers drops n bytes that the client still sends.
func (b *base) lingers(n int) {
	b.lingered += n
	if b.lingered > lingerBytes || b.host.Loop.Now().Sub(b.since) > lingerLong && !b.conn.Owes() {
		b.self.close()
		return
	}
	b.host.Loop.Set(&b.timer, lingerSilent)
}

// silent is for a client that sends nothing more.
func (b *base) silent() {
	if !b.takesOn() {
		b.self.close()
	}
}

// takesOn reports whether a client that sends nothing more has yet to read its answer, in the time that stalls gives it. Then silent is called again.
func (b *base) takesOn() bool {
	if !b.conn.Owes() {
		return false
	}
	b.host.Loop.Set(&b.timer, lingerSilent)
	return true
}

// end closes the connection, once.
func (b *base) end() {
	owner := b.owner
	if owner == nil {
		return
	}
	b.owner = nil
	b.of.HoldsHead(0)
	b.host.Loop.Stop(&b.timer)
	b.relax()
	b.in.Drop()
	if b.orderly {
		b.conn.Close()
	} else {
		b.conn.Drop()
	}
	owner.Gone()
}

// watch bounds the time in which the client takes nothing of what it is sent.
func (b *base) watch() {
	if b.stall == nil {
		b.stall = &stall{Timer: loop.Timer{Do: b.stalls, Of: b.conn}}
	}
	b.stall.begin(b.host)
}

// takes gives a client that has taken all that was queued all of its time again.
func (b *base) takes() {
	if b.stall != nil {
		b.stall.Begin()
	}
}

// relax ends what watch has begun.
func (b *base) relax() {
	if b.stall != nil {
		b.host.Loop.Stop(&b.stall.Timer)
	}
}

// stalls ends a connection whose client takes nothing of what it is sent.
func (b *base) stalls() {
	if taken, more := b.conn.Taken(); b.stall.over(b.host, taken, more) {
		b.conn.Reset()
		b.self.close()
	}
}

// stall bounds the time in which a client takes nothing of what it is sent.
type stall struct {
	loop.Timer
	exchange.Stall
}

// begin has it be looked at, if that is not so already: more to be taken gives the client no more time.
func (s *stall) begin(h *exchange.Host) {
	if d := h.Limits.Write; d > 0 && !s.On() {
		s.Begin()
		h.Loop.Set(&s.Timer, d/exchange.Looks)
	}
}

// over reports whether the client's time is up, by how much it has taken. If it is not, and there is more to be taken, it is looked at again.
func (s *stall) over(h *exchange.Host, taken uint64, more bool) bool {
	over := s.Over(taken) && more
	if more && !over {
		h.Loop.Set(&s.Timer, h.Limits.Write/exchange.Looks)
	}
	return over
}
