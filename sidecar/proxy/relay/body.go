package relay

import (
	"sync/atomic"
	"time"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/sidecar/gate"
	ends "github.com/bearerguard/bearerguard/sidecar/proxy/exchange"
	"github.com/bearerguard/bearerguard/sidecar/proxy/head"
)

// maxTrailers bounds a trailer section, in bytes.
const maxTrailers = 8 << 10

// body follows a request's body from the client to the app.
type body struct {
	chunked bool
	chunks  head.Chunks
	left    int64 // bytes to come, if it is not chunked
	most    int64 // bytes of data, at most; 0: no bound
	done    bool  // all of it, trailers included, has been taken from the buffer
	fields  []head.Field

	running bool          // another goroutine sends it on
	last    atomic.Bool   // it sends the last of it, or has
	sent    bool          // it has sent all; valid once it has stopped
	ended   atomic.Bool   // the same, at any time
	untaken bool          // the app has not taken what was sent before that
	stopped atomic.Bool   // nobody wants it any more
	result  chan struct{} // it has stopped
	reason  decision.Reason
}

func (b *body) begin(r *head.Request) {
	b.chunked, b.left = r.Chunked, r.Length
	b.done = !b.chunked && b.left == 0
}

// bound sets the largest size there may be, of two limits of which 0 is none. It returns false if the body is larger.
func (b *body) bound(rules, own int64) bool {
	if b.most = rules; own > 0 && (b.most == 0 || own < b.most) {
		b.most = own
	}
	return b.most == 0 || b.left <= b.most
}

// take moves what there is of the body in the buffer to out, as the app is to see it.
func (b *body) take(buf *buffer, l head.Limits, e *gate.Edit, out []byte) ([]byte, error) {
	if b.done {
		return out, nil
	}
	if !b.chunked {
		n := int(min(b.left, int64(buf.len())))
		out = append(out, buf.bytes()[:n]...)
		buf.take(n)
		b.left -= int64(n)
		b.done = b.left == 0
		return out, nil
	}
	held := buf.bytes()
	kept, used, err := b.chunks.Take(held)
	if err == nil && b.most > 0 && b.chunks.Data > b.most {
		err = head.ErrBody
	}
	if err != nil {
		return out, err
	}
	out = append(out, held[:kept]...)
	buf.take(used)
	if !b.chunks.Ended() {
		return out, nil
	}
	return b.trailers(buf, l, e, out)
}

// trailers passes on the trailer section once it is complete, without what is not the client's to say there: what
// frames and routes a message, whom it is from, and what the gate took from the head.
func (b *body) trailers(buf *buffer, l head.Limits, e *gate.Edit, out []byte) ([]byte, error) {
	end := head.TrailerEnd(buf.bytes())
	if end == 0 {
		if buf.len() > maxTrailers {
			return out, head.ErrTooLarge
		}
		return out, head.Check(buf.bytes(), 0, l)
	}
	l.Bytes = maxTrailers
	var err error
	if b.fields, err = head.ParseTrailers(buf.bytes()[:end], l, b.fields); err != nil {
		return out, err
	}
	for i := range b.fields {
		if f := &b.fields[i]; f.Kind == head.Other && !e.RemoveTrailer(text(f.Name)) {
			out = appendField(out, f.Name, f.Value)
		}
	}
	buf.take(end)
	b.done = true
	return append(out, "\r\n"...), nil
}

// maxSkip bounds a body that is read to no end so that the connection can go on after a refusal, in bytes.
const maxSkip = 64 << 10

// skippable reports whether a body may be short enough to be read to no end. One that is held back may never come.
func (b *body) skippable(r *head.Request) bool {
	return b.done || !r.Expect && b.left <= maxSkip
}

// skipBody reads the rest of a body that is not sent on, in no more time than a head may take. It reports whether its
// end has been found.
func (x *exchange) skipBody() bool {
	b, c := &x.body, x.c
	if b.done {
		return true
	}
	if !c.enter(phaseHead) {
		return false
	}
	for total := 0; ; {
		had := c.in.buf.len()
		if _, err := b.take(&c.in.buf, c.relay.Limits.Head, &x.names, nil); err != nil {
			return false
		}
		if total += had - c.in.buf.len(); b.done {
			return true
		}
		if total > maxSkip {
			c.linger() // else the client may never read the answer
			return false
		}
		if c.in.fill() != nil {
			return false
		}
	}
}

// bodyPace is what the sweep sees of a body that is being sent on.
type bodyPace struct {
	reading atomic.Bool   // the client is waited for
	bytes   atomic.Int64  // came so far, where the kernel does not know
	before  uint64        // guarded by conn.mu: bytes that the kernel had received when the body began
	starved time.Duration // guarded by conn.mu: how long the client was waited for
}

// send starts to send the rest of the body on, beside the answer.
func (x *exchange) send(u *upstream) {
	b := &x.body
	b.running, b.result = true, make(chan struct{})
	x.c.beginBody()
	edit := x.names
	go x.sendOn(u, &edit)
}

// sendOn sends on until the body ends or is waited for without a goroutine.
func (x *exchange) sendOn(u *upstream, e *gate.Edit) {
	b, in := &x.body, &x.c.in
	for x.pumpSafely(u, e) {
		if in.park(func() { x.sendOn(u, e) }) {
			return
		}
	}
	in.want = smallBlock / 2
	b.ended.Store(b.sent)
	close(b.result)
}

// pumpSafely is pump, and survives a panic.
func (x *exchange) pumpSafely(u *upstream, e *gate.Edit) (parked bool) {
	defer func() {
		if x.c.relay.recovered(recover()) {
			x.body.reason = decision.InternalError
			u.abort()
		}
	}()
	reason, parked := x.pump(u, e)
	if !parked {
		x.body.reason = reason
	}
	return parked
}

// pump sends the rest of the body on. The reason is empty when all has been sent, or the app takes no more. While the
// client is waited for, nothing is held: no block, and no pipe of the kernel's but for those who send fast; and if that is
// long, no goroutine.
func (x *exchange) pump(u *upstream, e *gate.Edit) (reason decision.Reason, parked bool) {
	b, c := &x.body, x.c
	for !b.done {
		if p := x.pumps(u); p != nil {
			return x.pumpSplice(u, p)
		}
		if c.in.want = mediumBlock; c.in.crowded() {
			c.in.want = smallBlock
		}
		c.body.reading.Store(true)
		err := c.in.awaitLong()
		if err == errParked { //nolint:errorlint // our own
			return "", true
		}
		c.body.reading.Store(false)
		if err != nil {
			return b.cutOff(u), false
		}
		had := c.in.buf.len()
		scratch := grab(had)
		out, err := b.take(&c.in.buf, c.relay.Limits.Head, e, scratch[:0])
		c.body.bytes.Add(int64(had - c.in.buf.len()))
		if err != nil {
			drop(scratch)
			u.abort()
			return ends.ReasonOf(err), false
		}
		b.last.Store(b.done)
		_, err = u.conn.Write(out)
		drop(scratch)
		if err != nil {
			return "", false
		}
		c.in.buf.release()
	}
	b.sent = true
	return "", false
}

// cutOff ends the sending of a body of which no more comes, and returns whose fault that is: the client's, unless nobody
// waits for it any more.
func (b *body) cutOff(u *upstream) decision.Reason {
	if b.stopped.Load() {
		return ""
	}
	u.abort()
	return decision.BadRequest
}

// beginBody notes that a body begins to be waited for.
func (c *conn) beginBody() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.body.bytes.Store(0)
	c.body.starved = 0
	if c.tcp != nil {
		c.body.before, _ = received(c.tcp)
	}
}

// whole reports whether all of the request has been sent. The app may answer the last of it before we come to know that it
// has been; that is waited for, unless the app has yet to take some.
func (b *body) whole(u *upstream) bool {
	if !b.running {
		return !b.untaken
	}
	if b.ended.Load() {
		return true
	}
	if !b.last.Load() {
		return false
	}
	if u.tcp != nil {
		if _, waiting := sent(u.tcp); waiting {
			return false
		}
	}
	patience := time.NewTimer(noting)
	defer patience.Stop()
	select {
	case <-b.result:
	case <-patience.C:
	}
	return b.ended.Load()
}

// stop ends the sending of the body and returns whether all of it had come, so that the connection can go on.
func (x *exchange) stop() bool {
	b := &x.body
	if !b.running {
		return true
	}
	if !b.ended.Load() {
		b.stopped.Store(true)
		x.c.in.end(past)
	}
	<-b.result
	return b.done && b.reason == ""
}
