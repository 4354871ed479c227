package app

import (
	"io"

	"github.com/bearerguard/bearerguard/sidecar/proxy/exchange"
	"github.com/bearerguard/bearerguard/sidecar/proxy/head"
)

// Bounds of an answer.
var answerLimits = head.Limits{Bytes: 256 << 10, Fields: 1000}

// ends is for the end of the connection.
func (a *HTTP1) ends(err error) {
	switch {
	case a.begun && a.comes.ToClose && err == io.EOF && !a.conn.Torn(): //nolint:errorlint // as Read documents; RFC 9112 section 9.8
		a.done(nil, false)
	case !a.begun && a.in.Len() == 0:
		a.fail(err)
	default:
		a.fail(io.ErrUnexpectedEOF)
	}
}

// take takes what has come.
func (a *HTTP1) take(b []byte) {
	a.in.Feed(b, func(b []byte) (used int) {
		for asked, n := a.asked, 1; n > 0 && used < len(b) && a.x != nil && a.asked == asked; used += n {
			if a.begun {
				n = a.body(b[used:])
			} else {
				n = a.head(b[used:])
			}
		}
		if a.conn.Closed() || a.given {
			return len(b)
		}
		return used
	})
}

// head takes a head: 0 if it is not complete.
func (a *HTTP1) head(b []byte) int {
	n := head.End(b, a.scanned)
	if n == 0 {
		if err := head.Check(b, a.scanned, answerLimits); err != nil {
			a.fail(err)
		}
		a.scanned = len(b)
		return 0
	}
	a.scanned = 0
	r := &a.set.Shared.res
	if err := head.ParseResponse(b[:n], answerLimits, r); err != nil {
		a.fail(err)
		return n
	}
	a.closing = a.closing || !r.KeepAlive
	switch {
	case r.Status == 101:
		a.switches(r, b[n:])
		return len(b)
	case r.Status < 200:
		a.x.Interim(r)
	default:
		a.final(r, b[n:])
	}
	return n
}

// switches gives the connection up to a tunnel.
func (a *HTTP1) switches(r *head.Response, rest []byte) {
	x := a.x
	if !x.Switches(r, a.conn, rest) {
		a.fail(head.ErrStatusLine) // nobody asked for it
		return
	}
	a.x, a.given = nil, true
}

// final passes on the head of the final answer.
func (a *HTTP1) final(r *head.Response, body []byte) {
	none := a.x.Bodiless(r.Status)
	if !none && r.Chunked { // one that begins with a bad chunk is not told of
		if err := (head.Chunks{}).Look(body); err != nil {
			a.fail(err)
			return
		}
	}
	if none || !r.Chunked && r.Length == 0 {
		x := a.let(len(body) > 0)
		x.Answers(r, true)
		return
	}
	a.begun = true
	a.comes.Begin(&r.Message)
	a.closing = a.closing || a.comes.ToClose
	a.fast.Begin(r.Length)
	a.x.Answers(r, false)
}

// body takes a piece of the body, or what is behind it.
func (a *HTTP1) body(b []byte) int {
	kept, used, err := a.comes.Take(b, answerLimits)
	if err != nil {
		a.fail(err)
		return used
	}
	if kept > 0 {
		a.paused = !a.x.Data(b[:kept])
	}
	if a.comes.Left == 0 {
		trailers := a.comes.Trailers[:0]
		for _, f := range a.comes.Trailers {
			if exchange.Trails(f.Kind) {
				trailers = append(trailers, f)
			}
		}
		a.done(trailers, len(b) > used)
	}
	return used
}

// done ends the answer. More says that more has come than was asked for.
func (a *HTTP1) done(trailers []head.Field, more bool) {
	x := a.let(more)
	x.AnswerEnds(trailers)
}

// let parts the connection from the exchange: it is kept, or closed.
func (a *HTTP1) let(more bool) *exchange.Exchange {
	x := a.x
	a.x, a.used, a.paused = nil, true, false
	a.conn.Flush() // an answer may come while the end of the request waits for the end of the turn
	if a.closing || more || !x.Whole() || a.conn.Queued() > 0 || !a.conn.Writes() {
		a.shut(x.Whole()) // what is held, the answer is still read from: take drops it
		return x
	}
	a.set.keep(a)
	return x
}
