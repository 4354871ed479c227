package frame

import (
	"encoding/binary"
	"errors"
	"slices"
)

// Why something is not sent.
var (
	errBusy    = errors.New("the server takes no more streams now")
	errGone    = errors.New("the stream has ended")
	errTooLong = errors.New("fields exceed the peer's SETTINGS_MAX_HEADER_LIST_SIZE")
)

// CanOpen reports whether a client can open a stream: not while there are as many as the server takes, nor after GOAWAY.
func (c *Conn) CanOpen() bool {
	return c.err == nil && c.client && !c.away && c.opened < maxID && c.streams.Len() < int(min(c.peer.streams, maxID))
}

// Open sends a request's head, pseudo-fields first, and returns the stream's number.
func (c *Conn) Open(fields []Field, end End) (id uint32, err error) {
	if !c.CanOpen() {
		return 0, errBusy
	}
	block, err := c.encode(fields)
	if err != nil {
		return 0, err
	}
	id = 1
	if c.opened > 0 {
		id = c.opened + 2
	}
	st := c.open(id)
	for _, f := range fields {
		st.head = st.head || f.Name == ":method" && f.Value == "HEAD"
	}
	c.writeBlock(st, block, end)
	return id, nil
}

// Headers sends a head of an answer, its pseudo-field first: interim ones, and then the final one. It also sends trailers, which end a stream
// after what Data took.
func (c *Conn) Headers(id uint32, fields []Field, end End) error {
	st := c.find(id)
	if st == nil || bool(st.sent) || st.ending || c.err != nil {
		return errGone
	}
	block, err := c.encode(fields)
	if err != nil {
		return err
	}
	if st.queued() > 0 {
		st.ending, st.trailers = true, append(c.pool.buffer(len(block)), block...)
		return nil
	}
	c.writeBlock(st, block, end)
	return nil
}

// Data sends a piece of a body. It takes n bytes of p, which are copied; of those, sent bytes are in the output, and Sent will
// tell of the others. The end counts once all of p is taken, and p may be empty. Of a stream
// that is gone nothing is taken.
func (c *Conn) Data(id uint32, p []byte, end End) (n, sent int) {
	st := c.find(id)
	if st == nil || bool(st.sent) || st.ending || c.err != nil {
		return 0, 0
	}
	if len(p) == 0 {
		c.finish(st, end)
		return 0, 0
	}
	for st.queued() == 0 && len(c.ready) == 0 && sent < len(p) {
		k := c.may(st, len(p)-sent)
		if k == 0 {
			break
		}
		last := end && sent+k == len(p)
		c.writeData(st, p[sent:sent+k], last)
		sent += k
		if last {
			c.sentAll(st)
			return sent, sent
		}
	}
	if rest := min(len(p)-sent, c.cfg.Queue-st.queued()); rest > 0 {
		c.enqueue(st, p[sent:sent+rest])
		n = rest
	}
	n += sent
	if n == len(p) {
		c.finish(st, end)
	}
	return n, sent
}

// finish ends a stream after what is queued.
func (c *Conn) finish(st *stream, end End) {
	switch {
	case !bool(end):
	case st.queued() > 0:
		st.ending = true
	default:
		c.writeData(st, nil, Last)
		c.sentAll(st)
	}
}

// may returns how many of n bytes the next frame of a stream may have.
func (c *Conn) may(st *stream, n int) int {
	if len(c.out) >= outRoom {
		return 0
	}
	return int(max(0, min(int64(n), maxFrame, st.window, c.window)))
}

func (c *Conn) enqueue(st *stream, p []byte) {
	if st.at > 0 && cap(st.queue)-len(st.queue) < len(p) {
		st.queue = st.queue[:copy(st.queue, st.queue[st.at:])]
		st.at = 0
	}
	st.queue = append(c.pool.grow(st.queue, len(p)), p...)
	c.schedule(st)
}

// Blocked reports whether the peer has to open a window before more of a stream can be sent: the stream's own, or that of the connection.
func (c *Conn) Blocked(id uint32) (own, all bool) {
	st := c.find(id)
	return st != nil && st.window <= 0, c.window <= 0
}

// Carried is how many bytes of DATA have been sent, of all streams.
func (c *Conn) Carried() uint64 { return c.carried }

// schedule has a stream wait for its turn if it could send.
func (c *Conn) schedule(st *stream) {
	switch {
	case st.queued() == 0 || st.window <= 0:
		c.unschedule(st)
	case !st.waiting:
		st.waiting, c.ready = true, append(c.ready, st)
	}
}

func (c *Conn) unschedule(st *stream) {
	if st.waiting {
		i := slices.Index(c.ready, st)
		if st.waiting, c.ready = false, slices.Delete(c.ready, i, i+1); len(c.ready) == 0 && cap(c.ready) > 64 {
			c.ready = nil // many were waiting once
		}
	}
}

// fill puts DATA that waits into the output, a frame of each stream in turn.
func (c *Conn) fill() {
	for len(c.ready) > 0 && c.err == nil {
		st := c.ready[0]
		n := c.may(st, st.queued())
		if n == 0 {
			return // no stream could send: the output is full, or the connection's window is used up
		}
		id := st.id
		c.unschedule(st)
		c.dequeue(st, n)
		c.h.Sent(id, n)
	}
}

// dequeue sends n bytes of a stream's queue, and what follows if they are the last.
func (c *Conn) dequeue(st *stream, n int) {
	all := n == st.queued()
	last := all && st.ending && len(st.trailers) == 0
	c.writeData(st, st.queue[st.at:st.at+n], End(last))
	st.at += n
	switch {
	case last:
		c.sentAll(st)
	case !all:
		c.schedule(st)
	default:
		c.pool.put(st.queue)
		st.queue, st.at = nil, 0
		if st.ending {
			c.writeBlock(st, st.trailers, Last)
		}
	}
}

// Reset ends a stream: what is queued is dropped, and the Handler is told nothing more of it.
func (c *Conn) Reset(id uint32, code Code) {
	if c.find(id) != nil && c.err == nil {
		c.reset(id, code)
	}
}

func be32(b []byte, v uint32) []byte { return binary.BigEndian.AppendUint32(b, v) }

// writeHead starts a frame; its payload has room.
func (c *Conn) writeHead(length int, typ, flags byte, id uint32) {
	c.out = c.pool.grow(c.out, frameHead+length)
	c.out = be32(append(c.out, byte(length>>16), byte(length>>8), byte(length), typ, flags), id)
}

func (c *Conn) writeUpdate(id uint32, n int64) {
	c.writeHead(4, typeUpdate, 0, id)
	c.out = be32(c.out, uint32(n))
}

// writeData takes from the windows. A frame that only a tiny window made earns nothing: who opens it by one byte at a time
// pays for that.
func (c *Conn) writeData(st *stream, p []byte, end End) {
	flags := byte(0)
	if end {
		flags = flagEnd
	}
	if len(p) > maxFrame/2 && cap(c.out) < outBlock { // more is to come
		c.out = c.pool.grow(c.out, outBlock-len(c.out))
	}
	c.writeHead(len(p), typeData, flags, st.id)
	c.out = append(c.out, p...)
	st.window -= int64(len(p))
	c.window -= int64(len(p))
	c.carried += uint64(len(p))
	c.owed = min(c.owed+2*int64(len(p)), 2*maxWindow) // to the stream's window, and to the connection's
	if len(p) >= tidbit || st.window > 0 && c.window > 0 {
		c.earn()
	}
}

// writeBlock sends an encoded field block, in frames that every peer takes. If it ends the stream, nothing of the stream may be used
// afterwards.
func (c *Conn) writeBlock(st *stream, p []byte, end End) {
	flags := byte(0)
	if end {
		flags = flagEnd
	}
	typ := byte(typeHeaders)
	for ; ; typ, flags = typeContinuation, 0 {
		n := min(len(p), maxFrame)
		if n == len(p) {
			flags |= flagEndHeads
		}
		c.writeHead(n, typ, flags, st.id)
		c.out = append(c.out, p[:n]...)
		if p = p[n:]; len(p) == 0 {
			break
		}
	}
	if end {
		c.sentAll(st)
	}
}

// encode returns a field block, which is valid until the next one. It keeps to what the peer says that it takes, which section
// 6.5.2 calls advisory.
func (c *Conn) encode(fields []Field) ([]byte, error) {
	n := uint64(0)
	for i := range fields {
		n += uint64(fields[i].Size())
	}
	if n > uint64(c.peer.list) {
		return nil, errTooLong
	}
	b := c.pool.block[:0]
	if !c.told {
		c.told = true
		b = append(b, noTable)
	}
	c.pool.block = encode(b, fields)
	return c.pool.block, nil
}
