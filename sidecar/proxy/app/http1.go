// Package app has a client's connections to the app: whoever answers.
package app

import (
	"net"
	"os"

	"github.com/bearerguard/bearerguard/sidecar/proxy/exchange"
	"github.com/bearerguard/bearerguard/sidecar/proxy/head"
	"github.com/bearerguard/bearerguard/sidecar/proxy/loop"
)

// HTTP1 is a connection to the app that speaks HTTP/1.1.
type HTTP1 struct {
	set   *Set
	conn  *loop.Conn
	next  *HTTP1             // in Set.idle
	x     *exchange.Exchange // nil: nothing is asked
	timer loop.Timer         // for dialling, and for the next request

	in      loop.Buffer
	comes   head.Body // of the answer
	fast    exchange.Fast
	asked   int // requests so far
	scanned int

	chunked bool // the request's body is
	begun   bool // the head of the answer has come
	again   bool // the request may have to be sent again
	used    bool // an answer has come
	closing bool // the app closes the connection after its answer
	paused  bool
	given   bool // another serves it now
}

// Head implements exchange.App.
func (a *HTTP1) Head(x *exchange.Exchange) {
	a.asked++
	a.begun, a.closing, a.scanned, a.paused = false, false, 0, false
	a.conn.Mark()
	out, chunked := a.set.Shared.appendHead(a.conn.Compose(loop.HeadRoom), x)
	a.chunked = chunked
	a.again = a.used && x.Repeatable()
	a.conn.Commit(out)
	x.HeadSent()
}

// lines implements exchange.Fields.
type lines []byte

// Field implements exchange.Fields.
func (l *lines) Field(name, value string) { *l = head.AppendField(*l, name, value) }

// appendHead appends the head of a request, and says whether its body goes in chunks.
func (s *Shared) appendHead(b []byte, x *exchange.Exchange) (out []byte, chunked bool) {
	b = append(b, x.Method()...)
	b = append(b, ' ')
	b = append(b, x.Target()...)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, x.Host()...)
	l := &s.lines
	*l = append(b, "\r\n"...)
	x.Fields(l)
	if x.Req.Chunked {
		l.Field("Transfer-Encoding", "chunked")
	}
	switch upgrade := x.Upgrade(); {
	case upgrade != "" && x.Req.Trailers:
		l.Field("TE", "trailers")
		l.Field("Connection", "Upgrade, TE")
		l.Field("Upgrade", upgrade)
	case upgrade != "":
		l.Field("Connection", "Upgrade")
		l.Field("Upgrade", upgrade)
	case x.Req.Trailers:
		l.Field("TE", "trailers")
		l.Field("Connection", "TE")
	}
	out = append(*l, "\r\n"...)
	*l = nil
	return out, x.Req.Chunked
}

// little is a piece of a body, in bytes, that waits for others of its turn: a client of HTTP/2 can send one a byte.
const little = 1 << 10

// Data implements exchange.App.
func (a *HTTP1) Data(p []byte) {
	if !a.chunked {
		if len(p) < little {
			a.conn.Cork()
		}
		a.conn.Write(p)
		return
	}
	a.conn.Commit(head.AppendChunk(a.conn.Compose(loop.FrameRoom), len(p)))
	a.conn.Write(p)
	a.conn.Write(crlf)
}

// Splice implements exchange.Splicer.
func (a *HTTP1) Splice(from *loop.Conn, most int64) (n int, more bool, err error) {
	if a.chunked {
		return 0, true, loop.ErrCopy
	}
	return a.conn.Splice(from, most, nil)
}

var crlf = []byte("\r\n") // read only

// Finish implements exchange.App.
func (a *HTTP1) Finish(trailers []head.Field) {
	if !a.chunked {
		return
	}
	b := append(a.conn.Compose(loop.HeadRoom), "0\r\n"...)
	for i := range trailers {
		if f := &trailers[i]; a.x.Trailer(f) {
			b = head.AppendField(b, string(f.Name), string(f.Value))
		}
	}
	a.conn.Commit(append(b, crlf...))
}

// Full implements exchange.App.
func (a *HTTP1) Full() bool { return loop.Enough(a.conn.Queued()) }

// Taken implements exchange.App. Once the kernel has all that it holds for the app, it says when the app reads.
func (a *HTTP1) Taken() uint64 {
	n, _ := a.conn.Taken()
	return n - uint64(a.conn.Queued()) //nolint:gosec // it may wrap
}

// Want implements exchange.App.
func (a *HTTP1) Want() {
	if a.paused {
		a.paused = false
		a.conn.Again()
	}
}

// Cancel implements exchange.App.
func (a *HTTP1) Cancel() {
	a.x = nil
	a.close()
}

func (a *HTTP1) close() {
	a.in.Drop()
	a.shut(false)
}

// shut is close while what has been read is still looked at. An app that is sent a whole request gets what it has yet to take of it, unless the client has
// left before the answer came.
func (a *HTTP1) shut(whole bool) {
	a.set.host.Loop.Stop(&a.timer)
	if whole {
		a.given = true
		a.set.host.Leave(a.conn)
		return
	}
	a.conn.Drop()
}

// retire is close where nothing is asked. What was asked last has been written as a whole, and the app may have answered before it took that.
func (a *HTTP1) retire() {
	a.in.Drop()
	a.shut(true)
}

// wake is called when dialling has taken too long, or nothing was asked for a while.
func (a *HTTP1) wake() {
	if a.x != nil {
		a.fail(errDial)
		return
	}
	a.set.forget(a)
	a.retire()
}

var errDial = &net.OpError{Op: "dial", Net: "tcp", Err: os.ErrDeadlineExceeded}

// fail tells of an app that does not answer.
func (a *HTTP1) fail(err error) {
	x := a.x
	a.x = nil
	if a.repeat(x) {
		return
	}
	a.close()
	if x != nil {
		x.Guard(func() { x.AppFails(err) })
	}
}

// repeat sends the request again on a new connection, if it may be that the app has closed this one before it got it.
func (a *HTTP1) repeat(x *exchange.Exchange) bool {
	if x == nil || !a.again {
		return false
	}
	a.set.open(x)
	if a.conn.Queued() > 0 {
		a.close() // what is sent again need not arrive
	} else {
		a.retire()
	}
	return true
}

// unsent reports whether the app has nothing of the request yet, on a connection that has served others. What it says then, or its end, is no answer.
func (a *HTTP1) unsent() bool { return a.used && a.set.near && a.conn.Unsent() }

// move has the request go out on a new connection, whatever it asks for.
func (a *HTTP1) move() {
	x := a.x
	a.x = nil
	b := a.set.dial(x)
	b.chunked = a.chunked
	a.conn.Move(b.conn)
	x.Moves(b)
	a.retire()
}

// Connected implements loop.Handler.
func (a *HTTP1) Connected(_ *loop.Conn, err error) {
	a.set.host.Loop.Stop(&a.timer)
	if err != nil {
		a.fail(err)
	}
}

// Drained implements loop.Handler.
func (a *HTTP1) Drained(*loop.Conn) {
	if a.x != nil {
		a.x.AppTakes()
	}
}

// Failed implements loop.Handler. An app that takes no more of the request may have answered before.
func (a *HTTP1) Failed(c *loop.Conn, err error) {
	if a.x == nil || !c.ReadOn(err) {
		a.set.forget(a)
		a.fail(err)
		return
	}
	a.closing = true
	a.x.AppTakes() // what comes of the request is dropped
}

// turn is how many pieces of an answer are passed on before others have their turn.
const turn = 16

// Readable implements loop.Handler.
func (a *HTTP1) Readable(c *loop.Conn) {
	for pieces := 0; !a.paused && !a.given && !c.Closed(); pieces++ {
		if pieces == turn {
			c.Again()
			return
		}
		if a.splices() {
			if !a.splice() {
				return
			}
			continue
		}
		b, err := c.Read()
		a.fast.Read(len(b))
		switch {
		case a.x == nil && (len(b) > 0 || err != nil): // nobody has asked
			a.set.forget(a)
			a.retire()
			return
		case (len(b) > 0 || err != nil) && a.unsent():
			a.move()
			return
		case len(b) > 0:
			a.again = false
			a.take(b)
		case err != nil:
			a.ends(err)
			return
		default:
			return
		}
	}
}
