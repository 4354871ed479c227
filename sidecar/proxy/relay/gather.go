package relay

import (
	"io"
	"net/http"
	"time"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/sidecar/gate"
	ends "github.com/bearerguard/bearerguard/sidecar/proxy/exchange"
	"github.com/bearerguard/bearerguard/sidecar/proxy/head"
)

// judgeBody reads the beginning of the body, which stays in the buffer, and asks the gate again. The verdict refuses where the
// body cannot be read. Until letBody, it may need what has been read.
func (x *exchange) judgeBody(first *gate.Verdict) gate.Verdict {
	if x.body.chunked {
		x.data = grab(first.WantBody)
	}
	if reason := x.gather(x.data, first.WantBody); reason != "" {
		x.broken = true
		return gate.Verdict{Reason: reason, Path: first.Path, CORS: first.CORS}
	}
	x.request.Body, x.large = &x.begun, !x.begun.Whole
	x.request.Time = time.Time{} // it is later by now
	return x.c.relay.Gate.JudgeWaiting(x.c.relay.ctx, &x.request)
}

// letBody gives back what judgeBody has made of the body, which is in the buffer still.
func (x *exchange) letBody() {
	x.request.Body, x.begun = nil, gate.Body{}
	drop(x.data)
	x.data = nil
}

// gather reads the body until it is known whole, or to be larger than most bytes, framing included. The data of a chunked one
// go to data, which has room for most bytes. The reason is why it cannot be read; the connection ends then.
func (x *exchange) gather(data []byte, most int) decision.Reason {
	c, b := x.c, &x.body
	size := most
	if !b.chunked {
		if b.left > int64(most) {
			return ""
		}
		size = int(b.left)
	}
	d := dechunk{data: data}
	switch whole, err := x.gatheredAll(&d); {
	case err != nil:
		return ends.ReasonOf(err)
	case whole:
		return ""
	case !c.relay.gathered.Take(c.info.Remote, size+len(data)):
		return decision.Overloaded
	}
	defer c.relay.gathered.Give(c.info.Remote, size+len(data))
	x.holdHead(size)
	if !x.askForBody() {
		return decision.BadRequest
	}
	c.beginBody()
	defer func() { c.in.want = smallBlock / 2 }()
	for c.in.buf.len() < size {
		c.in.want = 1
		had := c.in.buf.len()
		c.body.reading.Store(true)
		err := c.in.fill()
		c.body.reading.Store(false)
		c.body.bytes.Add(int64(c.in.buf.len() - had))
		if err != nil {
			if c.ending() == endBodyRate {
				return decision.RequestTimeout
			}
			return decision.BadRequest
		}
		switch whole, err := x.gatheredAll(&d); {
		case err != nil:
			return ends.ReasonOf(err)
		case whole:
			return ""
		}
	}
	return ""
}

// gatheredAll reports whether all of the body is in the buffer, and takes down what there is of it.
func (x *exchange) gatheredAll(d *dechunk) (whole bool, err error) {
	b, held := &x.body, x.c.in.buf.bytes()
	if b.chunked {
		whole, err = d.take(held)
		x.begun = gate.Body{Data: d.data[:d.kept], Whole: whole}
		return whole, err
	}
	whole = int64(len(held)) >= b.left
	x.begun = gate.Body{Data: held[:min(int64(len(held)), b.left)], Whole: whole}
	return whole, nil
}

// dechunk copies the data out of a chunked body of which more and more comes.
type dechunk struct {
	chunks     head.Chunks
	data       []byte // room for all of it
	kept, used int    // bytes of data, and of what came
}

// take goes on with a body of which this has come so far. It reports whether the last chunk is among it.
func (d *dechunk) take(held []byte) (whole bool, err error) {
	d.chunks.DataOnly = true
	n := copy(d.data[d.kept:], held[d.used:])
	kept, used, err := d.chunks.Take(d.data[d.kept : d.kept+n])
	d.kept, d.used = d.kept+kept, d.used+used
	return d.chunks.Ended(), err
}

// holdHead keeps the request's head where it is, and gives the buffer a block of its own with room for so many bytes.
func (x *exchange) holdHead(room int) {
	in := &x.c.in.buf
	block := grab(max(room, in.len()))
	n := copy(block, in.bytes())
	x.held = in.block
	*in = buffer{block: block, w: n}
}

// letHead gives back what holdHead has kept, once nothing of the head is needed any more.
func (x *exchange) letHead() {
	if x.held != nil {
		x.detach()
		drop(x.held)
		x.held = nil
	}
}

// askForBody asks the client for a body that it holds back until somebody does (RFC 9110 section 10.1.1). The app need not do
// that again.
func (x *exchange) askForBody() bool {
	if !x.req.Expect {
		return true
	}
	x.req.Expect, x.asked = false, true
	return x.c.write([]byte("HTTP/1.1 100 Continue\r\n\r\n")) == nil && x.c.enter(phaseBusy)
}

// Gather reads the beginning of a request's body, up to most bytes. The body reads then as if nobody had. The reason is why it
// cannot be read.
func (h *HTTP2) Gather(r *http.Request, most int) (gate.Body, decision.Reason) {
	return h.gather(r, most, &upload{})
}

// gather is Gather; pace is told how fast the body comes.
func (h *HTTP2) gather(q *http.Request, most int, pace *upload) (gate.Body, decision.Reason) {
	switch {
	case q.ContentLength > int64(most):
		return gate.Body{}, ""
	case q.ContentLength >= 0:
		most = int(q.ContentLength)
	}
	room, from := &h.relay.gathered, h.info.Remote
	if !room.Take(from, most) {
		return gate.Body{}, decision.Overloaded
	}
	defer room.Give(from, most)
	block, n := make([]byte, min(most, smallBlock)), 0
	var err error
	for n < most && err == nil {
		if n == len(block) {
			block = append(block, make([]byte, min(most, 2*n)-n)...)
		}
		var m int
		pace.reading.Store(true)
		m, err = q.Body.Read(block[n:])
		pace.reading.Store(false)
		pace.bytes.Add(int64(m))
		n += m
	}
	if err != nil && err != io.EOF || err == io.EOF && q.ContentLength > int64(n) { //nolint:errorlint // io.Reader's contract
		return gate.Body{}, decision.BadRequest
	}
	whole := err == io.EOF || q.ContentLength == int64(n) //nolint:errorlint // as above
	q.Body = &readBody{ReadCloser: q.Body, held: block[:n], end: err}
	return gate.Body{Data: block[:n], Whole: whole}, ""
}

// readBody is a body of which the beginning has been read.
type readBody struct {
	io.ReadCloser
	held []byte
	end  error // that was met after what is held; nil: none yet
}

// Read reads the body.
func (b *readBody) Read(p []byte) (int, error) {
	switch {
	case len(b.held) > 0:
		n := copy(p, b.held)
		if b.held = b.held[n:]; len(b.held) == 0 {
			b.held = nil // what is left of it, which is nothing, would keep all of it
			return n, b.end
		}
		return n, nil
	case b.end != nil:
		return 0, b.end
	}
	return b.ReadCloser.Read(p)
}
