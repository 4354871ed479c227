package frame

import "encoding/binary"

// Types of frames (section 6).
const (
	typeData = iota
	typeHeaders
	typePriority
	typeReset
	typeSettings
	typePromise
	typePing
	typeGoAway
	typeUpdate
	typeContinuation
)

// Flags of frames.
const (
	flagEnd      = 0x1 // of DATA and HEADERS
	flagAck      = 0x1 // of SETTINGS and PING
	flagEndHeads = 0x4
	flagPadded   = 0x8
	flagPriority = 0x20
)

// header is what a frame starts with (section 4.1).
type header struct {
	length     int
	typ, flags byte
	id         uint32
}

func readHeader(p []byte) header {
	return header{
		length: int(p[0])<<16 | int(p[1])<<8 | int(p[2]), typ: p[3], flags: p[4],
		id: binary.BigEndian.Uint32(p[5:]) & maxID, // the reserved bit is ignored
	}
}

func (f header) has(flag byte) bool { return f.flags&flag != 0 }

// step takes the next part of what has come: the preface, a frame, or a piece of one whose type lets it come in pieces.
// It returns the bytes taken, 0 if there are too few.
func (c *Conn) step(p []byte) int {
	switch {
	case c.preface < len(Preface):
		return c.readPreface(p)
	case c.now.left > 0:
		return c.proceed(p)
	case len(p) < frameHead:
		return 0
	}
	f := readHeader(p)
	if e := c.admit(f); e != nil {
		c.fail(e)
		return 0
	}
	if f.typ == typeData || f.typ > typeContinuation {
		return c.begin(f, p)
	}
	if len(p) < frameHead+f.length {
		if f.typ == typeHeaders {
			c.heading = f.id
		}
		return 0
	}
	c.heading = 0
	c.whole(f, p[frameHead:frameHead+f.length])
	return frameHead + f.length
}

func (c *Conn) readPreface(p []byte) int {
	n := min(len(p), len(Preface)-c.preface)
	if string(p[:n]) != Preface[c.preface:c.preface+n] {
		c.fail(errPreface)
		return 0
	}
	c.preface += n
	return n
}

// admit checks a frame by its header alone.
func (c *Conn) admit(f header) *Error {
	switch {
	case f.length > maxFrame:
		return errFrameSize
	case !c.begun && (f.typ != typeSettings || f.has(flagAck)):
		return errNoSettings
	case c.block.id != 0 && (f.typ != typeContinuation || f.id != c.block.id):
		return errInterrupted
	case c.block.id == 0 && f.typ == typeContinuation:
		return errContinuation
	}
	return admitType(f)
}

// admitType checks what the type of a frame says of its header.
func admitType(f header) *Error {
	switch f.typ {
	case typeData, typeHeaders, typePriority, typeReset:
		if f.id == 0 {
			return errStreamZero
		}
	case typeSettings, typePing, typeGoAway:
		if f.id != 0 {
			return errStreamZero
		}
	case typePromise:
		return errPromise
	}
	if f.typ == typePing && f.length != 8 || (f.typ == typeReset || f.typ == typeUpdate) && f.length != 4 {
		return errFrameLength
	}
	return nil
}

// whole takes a frame that has come as a whole.
func (c *Conn) whole(f header, p []byte) {
	switch f.typ {
	case typeHeaders:
		c.readHeaders(f, p)
	case typeContinuation:
		c.readContinuation(f, p)
	case typePriority:
		c.readPriority(f, p)
	case typeReset:
		c.readReset(f.id, Code(binary.BigEndian.Uint32(p)))
	case typeSettings:
		c.readSettings(f, p)
	case typePing:
		c.readPing(f, p)
	case typeGoAway:
		c.readGoAway(p)
	case typeUpdate:
		c.readUpdate(f.id, int64(binary.BigEndian.Uint32(p)&maxWindow))
	}
}

// idle says that nobody has opened a stream, or any after it (section 5.1). What comes after a server's GOAWAY is ignored.
func (c *Conn) idle(id uint32) bool { return id%2 == 0 || id > c.opened && id <= c.limit }

// stray answers DATA, of n bytes, or HEADERS on a stream that is not open.
func (c *Conn) stray(id uint32, n int64) {
	switch {
	case c.idle(id):
		c.fail(errIdle)
		return
	case n > 0 && n <= c.late:
		c.late -= n
	default:
		c.spend()
	}
	switch c.closed.of(id) {
	case ended:
		c.fail(errClosed)
	case byPeer:
		c.refuse(id, errHalfClosed)
	default: // it may not know yet that the stream was reset (section 5.4.2)
	}
}

// readPriority checks a signal that RFC 9113 has given up (section 5.3.2) and otherwise ignores it.
func (c *Conn) readPriority(f header, p []byte) {
	c.spend()
	switch {
	case len(p) != 5:
		c.breach(f.id, errPriority)
	case binary.BigEndian.Uint32(p)&maxID == f.id:
		c.breach(f.id, errSelf)
	}
}

// breach ends the stream, or the connection if the stream is not open: an idle one cannot be reset (section 6.4).
func (c *Conn) breach(id uint32, e *Error) {
	if c.find(id) == nil {
		c.fail(e)
		return
	}
	c.refuse(id, e)
}

func (c *Conn) readReset(id uint32, code Code) {
	st := c.find(id)
	switch {
	case st == nil && c.idle(id):
		c.fail(errIdle)
		return
	case st == nil:
		c.spend()
		return
	case !c.client && !bool(st.sent):
		c.countReset() // CVE-2023-44487
	}
	c.forget(st, byPeer)
	if c.err == nil {
		c.h.Reset(id, code, nil)
	}
}

func (c *Conn) readPing(f header, p []byte) {
	c.spend()
	if f.has(flagAck) {
		if c.drain == draining && string(p) == drainPing {
			c.GoAway()
		}
		return
	}
	c.answer(typePing, p)
}

// answer writes an acknowledgement, which the peer can ask for as often as it likes.
func (c *Conn) answer(typ byte, p []byte) {
	if c.answers++; c.answers > maxUnread {
		c.fail(errUnread)
	}
	if c.err == nil {
		c.writeHead(len(p), typ, flagAck, 0)
		c.out = append(c.out, p...)
	}
}
