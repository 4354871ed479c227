package relay

import (
	"io"
	"strconv"

	"github.com/bearerguard/bearerguard/sidecar/proxy/head"
)

// Bounds of an answer.
const (
	maxAnswerHead   = 256 << 10 // bytes
	maxAnswerFields = 1000
	maxInterim      = 64 // 1xx answers
)

var answerLimits = head.Limits{Bytes: maxAnswerHead, Fields: maxAnswerFields}

// answerHead reads heads until there is a final one, or a switch of protocols, and returns its length. Interim answers
// are passed on (RFC 9110 section 15.2).
func (x *exchange) answerHead(u *upstream) (int, error) {
	for interim := 0; ; interim++ {
		if u.in.buf.len() == 0 && !x.c.enter(phaseWaiting) {
			return 0, io.ErrUnexpectedEOF
		}
		n, err := readAnswerHead(u)
		if err != nil {
			return 0, err
		}
		if err := head.ParseResponse(u.in.buf.bytes()[:n], answerLimits, &x.res); err != nil {
			return 0, err
		}
		if x.res.Status >= 200 || x.res.Status == 101 {
			return n, nil
		}
		if interim == maxInterim {
			return 0, head.ErrTooLarge
		}
		if x.req.Minor == 1 {
			if err := x.c.write(x.writeResponse(nil, frameNone, keepAlive)); err != nil {
				return 0, err
			}
		}
		u.in.buf.take(n)
	}
}

// readAnswerHead reads until a head is complete and returns its length.
func readAnswerHead(u *upstream) (int, error) {
	scanned := 0
	for {
		if b := u.in.buf.bytes(); len(b) > 0 {
			if end := head.End(b, scanned); end > 0 {
				return end, nil
			}
			if err := head.Check(b, scanned, answerLimits); err != nil {
				return 0, err
			}
			scanned = len(b)
		}
		if err := u.in.fill(); err != nil {
			if u.in.buf.len() > 0 && err == io.EOF { //nolint:errorlint // stream returns it as it is
				return 0, io.ErrUnexpectedEOF
			}
			return 0, err
		}
	}
}

// frame is how an answer's body is framed.
type frame uint8

const (
	frameNone    frame = iota // there is none
	frameLength               // by its length
	frameChunked              // in chunks, as the app sent them
	frameToChunk              // the app ends it by closing; the client gets chunks
	frameUnchunk              // the app sends chunks; the client, of HTTP/1.0, gets the data and a close
	frameClose                // by closing
)

// closesClient holds for framings whose end a client knows by the connection's.
func (f frame) closesClient() bool { return f == frameUnchunk || f == frameClose }

// closesApp holds for framings whose end is that of the app's connection.
func (f frame) closesApp() bool { return f == frameToChunk || f == frameClose }

// framing says how the answer's body comes and goes (RFC 9112 section 6.3).
func (x *exchange) framing() frame {
	r := &x.res
	switch {
	case x.isHead || r.Status < 200 || r.Status == 204 || r.Status == 304:
		return frameNone
	case r.Chunked && x.req.Minor == 1:
		return frameChunked
	case r.Chunked:
		return frameUnchunk
	case r.Length >= 0:
		return frameLength
	case x.req.Minor == 1:
		return frameToChunk
	}
	return frameClose
}

// after is what becomes of a connection after an answer.
type after bool

const (
	keepAlive  after = true
	closeAfter after = false
)

// reply passes on the final answer, whose head is the first n bytes that u holds.
func (x *exchange) reply(u *upstream, n int) (again bool) {
	c, b := x.c, &x.body
	if x.res.Status == 101 {
		return x.switchProtocols(u, n)
	}
	f := x.framing()
	whole := !b.running || b.ended.Load() // the request; else its rest may be anything
	x.then = after(x.req.KeepAlive && !c.relay.draining.Load() && !f.closesClient() && whole)
	if x.out == nil {
		x.out = grab(mediumBlock)
	}
	out := x.writeResponse(x.out[:0], f, x.then)
	u.in.buf.take(n)
	if err := x.copyBody(u, f, out); err != nil {
		x.discardUpstream()
		x.stop()
		c.abort()
		return false
	}
	if !whole || !u.done() || !x.res.KeepAlive || f.closesApp() {
		x.discardUpstream()
	}
	if !x.stop() || !whole {
		c.linger()
		return false
	}
	return x.then == keepAlive
}

// writeResponse makes the head that the client is to see.
func (x *exchange) writeResponse(b []byte, f frame, then after) []byte {
	r := &x.res
	b = append(b, "HTTP/1.1 "...)
	b = append(b, r.StatusText...)
	b = append(b, "\r\n"...)
	dated := false
	for i := range r.Fields {
		field := &r.Fields[i]
		dated = dated || field.Kind == head.Date
		if x.returns(field) {
			b = appendField(b, field.Name, field.Value)
		}
	}
	if !dated && r.Status >= 200 {
		b = append(b, *x.c.relay.date.Load()...) // RFC 9110 section 6.6.1
	}
	if f == frameChunked || f == frameToChunk {
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	}
	switch {
	case r.Status == 101:
		b = append(b, "Connection: Upgrade\r\n"...)
	case r.Status < 200:
	case then == closeAfter:
		b = append(b, "Connection: close\r\n"...)
	case x.req.Minor == 0:
		b = append(b, "Connection: keep-alive\r\n"...)
	}
	return append(b, "\r\n"...)
}

// returns says whether a field goes to the client as it came.
func (x *exchange) returns(f *head.Field) bool {
	switch f.Kind {
	case head.Connection, head.KeepAlive, head.ProxyConnection, head.ProxyAuthenticate, head.TransferEncoding, head.TE:
		return false
	case head.Upgrade:
		return x.res.Status == 101
	case head.ContentLength:
		return x.res.Status >= 200 && x.res.Status != 204
	default:
	}
	return !x.res.Options || !x.optional(f.Name)
}

// optional reports whether the app's Connection field names the field.
func (x *exchange) optional(name []byte) bool {
	for i := range x.res.Fields {
		if f := &x.res.Fields[i]; f.Kind == head.Connection && head.ListsName(f.Value, name) {
			return true
		}
	}
	return false
}

// copyBody writes the head in out and then the body.
func (x *exchange) copyBody(u *upstream, f frame, out []byte) error {
	switch f {
	case frameNone:
	case frameLength:
		return x.copyLength(u, out)
	case frameChunked, frameUnchunk:
		return x.copyChunks(u, f, out)
	case frameToChunk, frameClose:
		return x.copyToEnd(u, f, out)
	}
	return x.finish(out)
}

// finish writes the end of an answer, which may be all of it. If the connection goes on, that is done together with the
// wait for the next request.
func (x *exchange) finish(b []byte) error {
	c := x.c
	if x.then == closeAfter || c.in.raw == nil || len(x.out) == 0 || len(b) == 0 || &b[0] != &x.out[0] {
		return c.write(b)
	}
	c.answer, x.out = b, nil
	return nil
}

// copyLength copies a body of known length.
func (x *exchange) copyLength(u *upstream, out []byte) error {
	left := x.res.Length
	n := int(min(left, int64(u.in.buf.len())))
	left -= int64(n)
	if err := x.writeBoth(out, u.in.buf.bytes()[:n], left == 0); err != nil {
		return err
	}
	u.in.buf.take(n)
	if u.in.want = mediumBlock; left == 0 {
		return nil
	}
	defer x.long()()
	for left > 0 {
		if x.res.Length > mediumBlock {
			u.in.want = x.c.relay.block()
		}
		if u.in.buf.len() == 0 {
			if left >= spliceFrom && x.c.tcp != nil && u.tcp != nil {
				return x.splice(u, left)
			}
			if err := x.more(u); err != nil {
				return err
			}
		}
		n := int(min(left, int64(u.in.buf.len())))
		if err := x.c.write(u.in.buf.bytes()[:n]); err != nil {
			return err
		}
		u.in.buf.take(n)
		left -= int64(n)
	}
	return nil
}

// long notes that a long answer is under way, which may take long, until the function that it returns is called.
func (x *exchange) long() (end func()) {
	drop(x.out)
	x.out = nil
	x.c.relay.long.Add(1)
	return x.c.relay.endLong
}

// block is how much of a long answer is held at a time, in bytes: less, the more of them are under way, so that many
// clients that read nothing hold little.
func (r *Relay) block() int {
	switch n := r.long.Load(); {
	case n < 256:
		return largeBlock
	case n < 1024:
		return mediumBlock
	}
	return smallBlock
}

// writeBoth writes a head and the first piece of a body, which may be its end: at once, if they are not too long to be
// worth a copy.
func (x *exchange) writeBoth(out, piece []byte, end bool) error {
	if len(piece) <= cap(out)-len(out) && len(piece) <= smallBlock {
		if out = append(out, piece...); end {
			return x.finish(out)
		}
		return x.c.write(out)
	}
	return x.c.writeBoth(x, out, piece)
}

// more reads more of the app's answer; the end is an error.
func (x *exchange) more(u *upstream) error {
	if !x.c.enter(phaseStream) {
		return io.ErrUnexpectedEOF
	}
	if len(u.in.buf.block) > u.in.want {
		u.in.buf.release()
	}
	err := u.in.fill()
	if err == io.EOF { //nolint:errorlint // stream returns it as it is
		return io.ErrUnexpectedEOF
	}
	return err
}

// copyChunks copies a body in chunks, or the data of one.
func (x *exchange) copyChunks(u *upstream, f frame, out []byte) error {
	chunks := head.Chunks{DataOnly: f == frameUnchunk}
	for {
		held := u.in.buf.bytes()
		kept, used, err := chunks.Take(held)
		if err != nil {
			return err
		}
		if chunks.Ended() && used < len(held) && f == frameChunked && string(held[used:]) == "\r\n" {
			kept += copy(held[kept:], "\r\n") // no trailers: the end goes with the last chunk
			used = len(held)
			err = x.writeBoth(out, held[:kept], true)
			u.in.buf.take(used)
			return err
		}
		if err := x.writeBoth(out, held[:kept], false); err != nil {
			return err
		}
		if out != nil {
			defer x.long()()
			out = nil
		}
		u.in.buf.take(used)
		if chunks.Ended() {
			return x.copyTrailers(u, f)
		}
		if u.in.want = mediumBlock; chunks.Data > mediumBlock {
			u.in.want = x.c.relay.block()
		}
		if err := x.more(u); err != nil {
			return err
		}
	}
}

// copyTrailers copies the trailer section but for fields that frame or route a message (RFC 9110 section 6.5.1).
func (x *exchange) copyTrailers(u *upstream, f frame) error {
	end := 0
	for {
		if end = head.TrailerEnd(u.in.buf.bytes()); end > 0 {
			break
		}
		if u.in.buf.len() > maxTrailers {
			return head.ErrTooLarge
		}
		if err := x.more(u); err != nil {
			return err
		}
	}
	fields, err := head.ParseTrailers(u.in.buf.bytes()[:end], answerLimits, x.res.Fields[:0])
	if err != nil {
		return err
	}
	x.res.Fields = fields // the head has been written
	if x.out == nil {
		x.out = grab(smallBlock)
	}
	out := x.out[:0]
	for i := range fields {
		if f := &fields[i]; trails(f.Kind) {
			out = appendField(out, f.Name, f.Value)
		}
	}
	u.in.buf.take(end)
	if f == frameUnchunk {
		return nil
	}
	return x.c.write(append(out, "\r\n"...))
}

// trails says whether a field of an answer's trailer section goes to the client.
func trails(k head.Kind) bool {
	switch k {
	case head.ContentLength, head.TransferEncoding, head.Host, head.Connection, head.KeepAlive, head.Upgrade, head.Trailer, head.TE:
		return false
	default:
		return true
	}
}

// copyToEnd copies a body that the app ends by closing. As chunks, its end is told apart from a failure.
func (x *exchange) copyToEnd(u *upstream, f frame, out []byte) error {
	if err := x.c.write(out); err != nil {
		return err
	}
	for {
		if held := u.in.buf.bytes(); len(held) > 0 {
			piece := held
			if f == frameToChunk {
				piece = appendChunk(x.out[:0], held)
				x.out = piece
			}
			if err := x.c.write(piece); err != nil {
				return err
			}
			u.in.buf.take(len(held))
		}
		switch err := x.more(u); {
		case err == io.ErrUnexpectedEOF && x.c.ending() == endNot: //nolint:errorlint // more returns it as it is
			if f == frameToChunk {
				return x.c.write([]byte("0\r\n\r\n"))
			}
			return nil
		case err != nil:
			return err
		}
	}
}

// appendChunk writes one chunk (RFC 9112 section 7.1).
func appendChunk(b, data []byte) []byte {
	b = strconv.AppendInt(b, int64(len(data)), 16)
	b = append(b, "\r\n"...)
	b = append(b, data...)
	return append(b, "\r\n"...)
}

// spliceFrom is from how many bytes on the kernel copies the rest of a body.
const spliceFrom = 128 << 10

// splice has the kernel copy the rest of a body.
func (x *exchange) splice(u *upstream, left int64) error {
	if !x.c.enter(phaseSplice) {
		return io.ErrUnexpectedEOF
	}
	u.in.buf.release()
	x.splicing = io.LimitedReader{R: u.tcp, N: left}
	n, err := x.c.tcp.ReadFrom(&x.splicing)
	x.splicing.R = nil
	if err == nil && n < left {
		return io.ErrUnexpectedEOF
	}
	return err
}
