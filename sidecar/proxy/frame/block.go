package frame

import (
	"encoding/binary"
	"strings"
)

// gathering is a field block that has not come as a whole.
type gathering struct {
	id     uint32 // 0: there is none
	end    End
	self   bool // the stream depends on itself
	bytes  []byte
	frames int
}

func (c *Conn) readHeaders(f header, p []byte) {
	if f.has(flagPadded) {
		if len(p) == 0 {
			c.fail(errFrameLength)
			return
		}
		pad := int(p[0])
		if p = p[1:]; pad > len(p) {
			c.fail(errPadding)
			return
		}
		p = p[:len(p)-pad]
	}
	c.block = gathering{id: f.id, end: End(f.has(flagEnd))}
	if f.has(flagPriority) {
		if len(p) < 5 {
			c.fail(errFrameLength)
			return
		}
		c.block.self = binary.BigEndian.Uint32(p)&maxID == f.id
		p = p[5:]
	}
	c.gather(f, p)
}

func (c *Conn) readContinuation(f header, p []byte) {
	if c.block.frames++; c.block.frames > fragments { // CVE-2024-27316
		c.fail(errFragments)
		return
	}
	c.gather(f, p)
}

// gather takes a fragment. A block that comes in one frame is decoded where it is.
func (c *Conn) gather(f header, p []byte) {
	b := &c.block
	if !f.has(flagEndHeads) || b.bytes != nil {
		if len(b.bytes)+len(p) > 2*c.cfg.HeadBytes {
			c.fail(errHeadFar)
			return
		}
		b.bytes = append(c.pool.grow(b.bytes, len(p)), p...)
		p = b.bytes
	}
	if !f.has(flagEndHeads) {
		return
	}
	whole := *b
	*b = gathering{}
	if c.decode(p); c.err == nil {
		c.arrived(whole)
	}
	clear(c.pool.fields)
	c.pool.put(whole.bytes)
}

// Unfinished is how many bytes of memory a field block takes that has not come as a whole.
func (c *Conn) Unfinished() int { return cap(c.block.bytes) }

// pseudoMost is how many pseudo-fields a head may have.
const pseudoMost = 4

// mostCrumbs is how many fields a cookie may come in that count as one (section 8.2.3): browsers send one for each of a site's cookies, of which they
// keep 180 at least.
const mostCrumbs = 200

// decoded takes a field. What an index refers to may be a hundred times the index: none is kept once the limit is met.
func (c *Conn) decoded(f Field) {
	c.size += int(f.Size())
	switch {
	case f.Name == "cookie" && c.crumbs < mostCrumbs:
		if c.crumbs++; c.crumbs == 1 {
			c.others++
		}
	case len(c.pool.fields) >= pseudoMost || !strings.HasPrefix(f.Name, ":"):
		c.others++
	}
	if c.over || c.size > c.cfg.HeadBytes || c.others > c.cfg.Fields {
		c.over = true
		return
	}
	c.pool.fields = append(c.pool.fields, f)
}

// arrived finds what a field block is: a head or trailers of a stream.
func (c *Conn) arrived(b gathering) {
	st := c.find(b.id)
	switch {
	case st == nil && c.client:
		c.stray(b.id, 0)
	case st == nil:
		c.request(b)
	case bool(st.received):
		c.refuse(b.id, errHalfClosed)
	case b.self:
		c.refuse(b.id, errSelf)
	case c.client && !st.final:
		c.response(st, b.end)
	default:
		c.trailers(st, b.end)
	}
}

// request opens a stream of a client's (section 8.3.1).
func (c *Conn) request(b gathering) {
	switch {
	case b.id%2 == 0:
		c.fail(errStreamID)
		return
	case b.id <= c.opened:
		c.reopened(b.id, b.end)
		return
	case b.id > c.limit: // section 6.8: what comes after GOAWAY is as good as not sent
		c.spend()
		if !bool(b.end) {
			c.expect(int64(c.cfg.Window))
		}
		return
	}
	st := c.open(b.id)
	st.received = b.end
	if c.streams.Len() > int(c.cfg.Streams) {
		if c.spend(); c.acked {
			c.countReset() // it knows how many there may be
		}
		c.refuse(b.id, errRefused)
		return
	}
	h := &c.pool.head
	e := h.request(c.pool.fields)
	switch {
	case b.self:
		e = errSelf
	case c.over: // what is left of it may look like anything
		e = nil
	case e == nil && bool(b.end) && h.Length > 0:
		e = errLength
	}
	if e != nil {
		c.refuse(b.id, e)
		return
	}
	c.earn()
	st.left, h.End, h.Over = h.Length, b.end, c.over
	c.h.Headers(b.id, h)
}

// reopened is about HEADERS on a number that is below the highest (section 5.1.1).
func (c *Conn) reopened(id uint32, end End) {
	if c.closed.of(id) == forgotten && !(bool(end) && c.closed.full()) { // else they may be trailers that were on their way when the stream was reset
		c.fail(errStreamID)
		return
	}
	c.stray(id, 0)
}

// response takes a head of an answer: an interim one or the final one (section 8.1).
func (c *Conn) response(st *stream, end End) {
	h := &c.pool.head
	e := errTooLarge
	if !c.over {
		e = h.response(c.pool.fields)
	}
	if e == nil && h.Status < 200 {
		if c.spend(); end {
			e = errInterimEnds
		}
	}
	if e == nil && h.Status >= 200 {
		st.final, st.left = true, h.Length
		if st.head || h.Status == 204 || h.Status == 304 {
			st.left = 0 // RFC 9110 section 6.4.1: there is none, whatever is declared
		}
		if end && st.left > 0 {
			e = errLength
		}
	}
	if e != nil {
		c.refuse(st.id, e)
		return
	}
	id := st.id
	if h.End = end; end {
		c.receivedAll(st)
	}
	c.earn()
	c.h.Headers(id, h)
}

// trailers end a stream.
func (c *Conn) trailers(st *stream, end End) {
	var e *Error
	switch {
	case !bool(end):
		e = errTrailersGoOn
	case c.over:
		e = errTooLarge
	case st.left > 0:
		e = errLength
	default:
		e = checkTrailers(c.pool.fields)
	}
	if e != nil {
		c.refuse(st.id, e)
		return
	}
	id := st.id
	c.receivedAll(st)
	c.h.Trailers(id, c.pool.fields)
}
