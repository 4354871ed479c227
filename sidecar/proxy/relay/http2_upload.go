package relay

import (
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/sidecar/gate"
	"github.com/bearerguard/bearerguard/sidecar/proxy/head"
)

// upload sends a request's body from an HTTP/2 client to the app.
type upload struct {
	reading atomic.Bool   // the client is waited for
	bytes   atomic.Int64  // came so far
	starved time.Duration // guarded by call.mu: how long the client was waited for

	most      int64    // bytes, at most; 0: no bound
	trailers  []string // names of the trailers that may pass, sorted
	announced []byte   // the Trailer field

	running bool          // another goroutine sends it
	last    atomic.Bool   // it sends the last of it, or has
	result  chan struct{} // it has stopped
	whole   bool          // all has been sent; valid once it has stopped
	untaken bool          // the app has not taken what was sent before that
	stopped atomic.Bool   // nobody wants it any more
	reason  decision.Reason
}

// bound sets the largest size there may be, of two limits of which 0 is none. It returns false if the body is larger.
func (b *upload) bound(rules, own, length int64) bool {
	if b.most = rules; own > 0 && (b.most == 0 || own < b.most) {
		b.most = own
	}
	return b.most == 0 || length <= b.most
}

// announce keeps the names of the trailers that may pass. It returns false if there are none.
func (b *upload) announce(trailers http.Header, e *gate.Edit) bool {
	for name := range trailers {
		if head.KindOf(name) == head.Other && !e.RemoveTrailer(name) {
			b.trailers = append(b.trailers, name)
		}
	}
	slices.Sort(b.trailers)
	b.announced = []byte(strings.Join(b.trailers, ", "))
	return len(b.trailers) > 0
}

// start starts to send the body, beside the answer.
func (b *upload) start(c *call, u *upstream) {
	b.running, b.result = true, make(chan struct{})
	chunked := c.x.req.Chunked
	go func() {
		defer close(b.result)
		defer func() {
			if c.h.relay.recovered(recover()) {
				b.reason = decision.InternalError
				u.abort()
			}
		}()
		b.reason = b.send(c.r, u, chunked)
	}()
}

// slow reports whether the body comes too slowly. The sweep calls it once in every; call.mu is held.
func (b *upload) slow(l *Limits, every time.Duration) bool {
	if !b.reading.Load() {
		return false
	}
	b.starved += every
	return l.BodyRate > 0 && b.starved > l.ReadHead && float64(b.bytes.Load()) < float64(l.BodyRate)*b.starved.Seconds()
}

// stop ends the sending and returns whether all of the body had been sent, so that the connection can go on.
func (b *upload) stop(c *call) bool {
	if !b.running {
		return !b.untaken
	}
	if !b.last.Load() {
		b.stopped.Store(true)
		_ = c.r.Body.Close()
	}
	c.mu.Lock()
	if c.up != nil {
		patience := past
		if b.last.Load() {
			patience = time.Now().Add(noting) // the app may have answered before we came to know that it has all
		}
		_ = c.up.conn.SetWriteDeadline(patience)
	}
	c.mu.Unlock()
	<-b.result
	if !b.whole {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.up != nil && c.end == endNot && c.up.conn.SetWriteDeadline(time.Time{}) == nil
}

// chunkRoom is for the size of a chunk and the ends of its lines, in bytes.
const chunkRoom = 8

// waitBlock is the size of a block in which a body is waited for, in bytes. Once it fills, the body comes fast, and a larger
// one is taken.
const waitBlock = 512

var waitBlocks = sync.Pool{New: func() any { return new([waitBlock]byte) }}

// send sends the body. The reason is empty when all has been sent, or the app takes no more.
func (b *upload) send(r *http.Request, u *upstream, chunked bool) decision.Reason {
	wait := waitBlocks.Get().(*[waitBlock]byte)
	defer waitBlocks.Put(wait)
	var fast []byte
	for {
		block := wait[:]
		if fast != nil {
			block = fast
		}
		n, goOn, reason := b.pass(r, u, chunked, block)
		if !goOn {
			drop(fast)
			return reason
		}
		switch {
		case n == len(block)-2*chunkRoom && fast == nil:
			fast = grab(mediumBlock)
		case n < len(block)-2*chunkRoom:
			drop(fast)
			fast = nil
		}
	}
}

// pass waits for a piece of the body, which is at most as large as block, and sends it on. It returns the size of the piece,
// and whether there may be more.
func (b *upload) pass(r *http.Request, u *upstream, chunked bool, block []byte) (n int, goOn bool, _ decision.Reason) {
	b.reading.Store(true)
	n, err := r.Body.Read(block[chunkRoom : len(block)-chunkRoom])
	b.reading.Store(false)
	total := b.bytes.Add(int64(n))
	if b.most > 0 && total > b.most {
		u.abort()
		return n, false, decision.BodyTooLarge
	}
	end := err != nil || !chunked && total == r.ContentLength
	if err != nil && err != io.EOF || end && !chunked && total != r.ContentLength { //nolint:errorlint // io.Reader's contract
		return n, false, b.cutOff(u)
	}
	b.last.Store(end)
	out := block[chunkRoom : chunkRoom+n]
	if chunked {
		out = b.chunk(block, n, end, r.Trailer)
	}
	if _, err := u.conn.Write(out); err != nil {
		return n, false, ""
	}
	b.whole = end
	return n, !end, ""
}

// cutOff is the function of that name of a body.
func (b *upload) cutOff(u *upstream) decision.Reason {
	if b.stopped.Load() {
		return ""
	}
	u.abort()
	return decision.BadRequest
}

// chunk makes a chunk (RFC 9112 section 7.1) of the n bytes that block has after chunkRoom, and the end of the body.
func (b *upload) chunk(block []byte, n int, end bool, trailers http.Header) []byte {
	out := block[chunkRoom:chunkRoom]
	if n > 0 {
		var size [chunkRoom]byte
		line := append(strconv.AppendInt(size[:0], int64(n), 16), "\r\n"...)
		from := chunkRoom - len(line)
		copy(block[from:], line)
		out = append(block[from:chunkRoom+n], "\r\n"...)
	}
	if !end {
		return out
	}
	out = append(out, "0\r\n"...)
	for _, name := range b.trailers {
		for _, value := range trailers[name] {
			out = appendField(out, name, value)
		}
	}
	return append(out, "\r\n"...)
}
