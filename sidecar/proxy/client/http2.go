package client

import (
	"io"
	"time"

	"github.com/bearerguard/bearerguard/sidecar/proxy/exchange"
	"github.com/bearerguard/bearerguard/sidecar/proxy/frame"
	"github.com/bearerguard/bearerguard/sidecar/proxy/loop"
)

// HTTP2 is a client connection that speaks HTTP/2. What its streams have to say in a turn of the loop goes out at the end of it, in
// one write.
type HTTP2 struct {
	base   // its timer is for a connection without requests, and for what has begun to come, too
	shared *Shared
	frames *frame.Conn
	calls  frame.Streams[call]

	leave *loop.Timer // for a client that does not say that it has been told to go; nil: it has not been told
	shut  *shut       // nil: it has not been
	late  uint32      // what is to come before the timer ends, as frame.Conn.Awaits tells; 0: nothing

	reading bool // what is to be written is written in any case
	stopped bool // what has come is not read on until the client reads
	ending  bool // nothing is served any more
}

// Shared is what the connections of HTTP/2 of a loop share.
type Shared struct {
	// Config bounds them.
	Config frame.Config
	// Requests counts the requests of all loops.
	Requests *Count

	pool   frame.Pool
	fields frame.Fields // of the head that is being written
	calls  loop.Spare[call]
}

// HTTP2Options are what a connection is served with.
type HTTP2Options struct {
	Shared *Shared
	// Window is how many bytes of bodies the client may send that no app has taken yet.
	Window int
	// Read has been read of the connection already: the preface, and what came with it.
	Read []byte
	// Owner is told when it has ended.
	Owner Owner
}

// NewHTTP2 serves a connection.
func NewHTTP2(conn *loop.Conn, of *exchange.Conn, o HTTP2Options) *HTTP2 {
	c := &HTTP2{base: base{host: of.Host, conn: conn, of: of, owner: o.Owner}, shared: o.Shared}
	cfg := o.Shared.Config
	cfg.Window, cfg.ConnWindow = o.Window, o.Window
	c.frames = frame.NewServer(cfg, &o.Shared.pool, c)
	c.self, c.timer = c, loop.Timer{Do: c.wake, Of: conn}
	conn.Handle(c)
	if conn.Closed() { // while there was no place for it
		c.end()
		return c
	}
	if c.awaits(); c.host.Closing && !of.Info.Secure { // over TLS, the first request comes behind the handshake, and then it is told
		c.Clear(true)
	}
	if len(o.Read) > 0 {
		c.feed(o.Read)
	}
	c.touch()
	return c
}

// Drained implements loop.Handler.
func (c *HTTP2) Drained(*loop.Conn) {
	c.takes()
	c.flush()
}

// Readable implements loop.Handler. It is called too when there is something to be written.
func (c *HTTP2) Readable(conn *loop.Conn) {
	c.reading = true
	defer func() { c.reading = false }()
	for pieces := 0; !conn.Closed() && !c.stopped; pieces++ {
		if pieces == turn {
			conn.Again()
			break
		}
		b, err := conn.Read()
		switch {
		case len(b) > 0 && c.ending:
			c.lingers(len(b))
			continue
		case len(b) > 0:
			c.feed(b)
			continue
		case err != nil:
			c.ends(err)
			return
		}
		break
	}
	c.flush()
}

// ends is for a client that sends no more. What it has asked for ends; what has been answered, it gets.
func (c *HTTP2) ends(err error) {
	closed := err == io.EOF //nolint:errorlint // as Read documents
	if closed && !c.ending {
		c.abandon()
		c.says()
	}
	switch {
	case !closed || !c.takesOn():
		c.close()
	case !c.ending:
		c.linger()
	}
}

// says writes all that may be said, before nothing more is, though the client has yet to take what was said before.
func (c *HTTP2) says() {
	for out := c.frames.Output(); len(out) > 0; out = c.frames.Output() {
		c.conn.Write(out)
		c.frames.Wrote()
	}
}

// feed takes what has come.
func (c *HTTP2) feed(b []byte) {
	var err error
	c.in.Feed(b, func(b []byte) (n int) {
		n, err = c.frames.Feed(b, c.host.Loop.Now())
		return n
	})
	if err != nil {
		c.fails(err)
		return
	}
	if !c.of.HoldsHead(exchange.HeadSize(c.in.Len()) + exchange.HeadSize(c.frames.Unfinished())) {
		c.fails(c.frames.Refuse(frame.ErrCrowded))
		return
	}
	c.stopped = c.frames.Full()
	c.awaits()
}

// awaits bounds the time for the client's preface and SETTINGS, and for a head once it has begun, whatever its other streams do.
func (c *HTTP2) awaits() {
	is, d := c.frames.Awaits(), c.host.Limits.ReadHead
	if !c.frames.Greeted() {
		d = c.host.Within(d)
	}
	switch {
	case is == c.late, c.ending:
		return
	case is != 0 && d > 0:
		c.late = is
		c.host.Loop.Set(&c.timer, d)
		return
	}
	if c.late = 0; c.calls.Len() == 0 {
		c.rest()
	} else {
		c.timer.Rest()
	}
}

// touch has what is to be written go out when the turn ends.
func (c *HTTP2) touch() {
	if !c.reading {
		c.conn.Again()
	}
}

// flush writes what is to be written, as far as the client takes it.
func (c *HTTP2) flush() {
	for !c.ending && !c.conn.Closed() && c.conn.Queued() == 0 {
		out := c.frames.Output()
		if len(out) == 0 {
			break
		}
		c.conn.Write(out)
		c.frames.Wrote()
	}
	switch {
	case c.conn.Closed():
	case c.conn.Queued() > 0:
		c.watch()
	case c.stopped && !c.frames.Full():
		if c.stopped = false; c.late != 0 {
			c.host.Loop.Set(&c.timer, c.host.Limits.ReadHead) // nothing was read meanwhile
		}
		c.feed(nil)
		c.conn.Again()
	case c.frames.Drained() && c.calls.Len() == 0 && !c.ending:
		c.linger()
	}
}

// rest bounds how long the connection may be without a request.
func (c *HTTP2) rest() {
	if d := c.host.Within(c.host.Limits.Idle); d > 0 && !c.ending && c.late == 0 {
		c.host.Loop.Set(&c.timer, d)
	}
}

// wake is called when the connection's time is up.
func (c *HTTP2) wake() {
	switch {
	case c.ending:
		c.silent()
	case c.late != 0 && c.stopped: // it has to read first, in the time that stalls gives it
		c.host.Loop.Set(&c.timer, c.host.Limits.ReadHead)
	case c.late != 0:
		c.fails(c.frames.Refuse(frame.ErrLate))
	case c.calls.Len() == 0:
		c.frames.GoAway()
		c.touch()
	}
}

// patience is how long a client may take to say that it has been told to go.
const patience = time.Second

// Clear implements exchange.Member: the client is told to go, and what runs may run on.
func (c *HTTP2) Clear(bool) {
	if c.leave != nil || c.ending {
		return
	}
	c.leave = &loop.Timer{Do: c.insist, Of: c.conn}
	c.frames.Drain()
	c.host.Loop.Set(c.leave, patience)
	c.touch()
}

// Rests implements exchange.Member.
func (c *HTTP2) Rests() time.Duration {
	if c.calls.Len() > 0 || c.late != 0 || c.leave != nil || c.ending {
		return 0
	}
	return c.host.Rested(&c.timer)
}

func (c *HTTP2) insist() {
	c.frames.Drain()
	c.touch()
}

// fails ends a connection whose client breaks the protocol. What it is told must not be lost to a reset.
func (c *HTTP2) fails(err error) {
	c.host.Log.V(1).Info("connection ended", "cause", err.Error())
	c.abandon()
	c.says()
	c.linger()
}

// abandon ends what the client has asked for. Answers that have been passed on as a whole may still be written.
func (c *HTTP2) abandon() {
	for k := c.calls.Pop(); k != nil; k = c.calls.Pop() {
		if k.x != nil {
			c.frames.Reset(k.id, frame.Cancel)
		}
		k.lost()
	}
}

func (c *HTTP2) linger() {
	c.ending, c.stopped = true, false
	c.host.Loop.Stop(c.leave)
	c.staysOpen()
	c.frames.Close()
	c.base.linger()
}

func (c *HTTP2) close() {
	c.abandon()
	c.end()
}

func (c *HTTP2) end() {
	if c.owner != nil {
		c.ending = true
		c.host.Loop.Stop(c.leave)
		c.staysOpen()
		c.frames.Close()
		c.base.end()
	}
}
