package relay

import (
	"io"

	ends "github.com/bearerguard/bearerguard/sidecar/proxy/exchange"
	"github.com/bearerguard/bearerguard/sidecar/proxy/head"
)

// Bounds of an answer.
const (
	maxAnswerHead   = 256 << 10 // bytes
	maxAnswerFields = 1000
)

var answerLimits = head.Limits{Bytes: maxAnswerHead, Fields: maxAnswerFields}

// answerHead reads heads until there is a final one, or a switch of protocols, and returns its length, or errParked, after
// which finalHead goes on.
func (x *exchange) answerHead(u *upstream) (int, error) {
	if u.in.buf.len() == 0 && !x.c.enter(phaseWaiting) {
		return 0, io.ErrUnexpectedEOF
	}
	return x.finalHead(u)
}

// finalHead is answerHead once it has begun. Interim answers are passed on (RFC 9110 section 15.2).
func (x *exchange) finalHead(u *upstream) (int, error) {
	for {
		n, err := readAnswerHead(u, x.body.running && !x.body.ended.Load())
		if err != nil {
			return 0, err
		}
		if err := head.ParseResponse(u.in.buf.bytes()[:n], answerLimits, &x.res); err != nil {
			return 0, err
		}
		x.closing = x.closing || !x.res.KeepAlive
		if x.res.Status >= 200 || x.res.Status == 101 {
			x.res.KeepAlive = !x.closing
			return n, nil
		}
		if x.interim++; x.interim > ends.MaxInterim {
			return 0, head.ErrTooLarge
		}
		if x.req.Minor == 1 {
			if err := x.c.write(x.writeResponse(nil, frameNone, keepAlive)); err != nil {
				return 0, err
			}
		}
		u.in.buf.take(n)
		if u.in.buf.len() == 0 && !x.c.enter(phaseWaiting) {
			return 0, io.ErrUnexpectedEOF
		}
	}
}

// readAnswerHead reads until a head is complete and returns its length, or errParked. The wait is likely to be long if the
// app has not got all of the request yet.
func readAnswerHead(u *upstream, long bool) (int, error) {
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
		wait := u.in.await
		if long {
			wait = u.in.awaitLong
		}
		if err := wait(); err != nil {
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
	c := x.c
	x.status = x.res.Status
	if x.res.Status == 101 {
		return x.switchProtocols(u, n)
	}
	f := x.framing()
	whole := x.body.whole(u) // else the rest of the request may be anything
	x.then = after(x.req.KeepAlive && !c.relay.draining.Load() && !f.closesClient() && whole)
	if x.out == nil {
		x.out = grab(mediumBlock)
	}
	x.out = x.writeResponse(x.out[:0], f, x.then)
	u.in.buf.take(n)
	x.copying = copying{begun: true, frame: f, whole: whole, left: x.res.Length}
	return x.copyOn(u)
}

// copyOn copies the answer to the client, from where it was.
func (x *exchange) copyOn(u *upstream) (again bool) {
	c, k := x.c, &x.copying
	err := x.copyBody(u)
	if err == errParked { //nolint:errorlint // our own
		return x.restCopying(u)
	}
	x.endLong()
	if err != nil && !k.told {
		return x.fail("", err)
	}
	if err != nil {
		x.discardUpstream()
		x.stop()
		c.abort()
		return false
	}
	if !k.whole || !u.done() || !x.res.KeepAlive || k.frame.closesApp() {
		x.discardUpstream()
	}
	if !x.stop() || !k.whole {
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
	if r.Status >= 200 {
		for _, f := range x.cors.Set {
			b = appendField(b, f.Name, f.Value)
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
	if x.cors.Owned && x.cors.Drops(text(f.Name)) {
		return false
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
