package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"

	"golang.org/x/net/http2/hpack"
	"golang.org/x/sys/unix"
)

const (
	bigWindow  = 1 << 30
	tableSize  = 4096      // of HPACK, both ways
	backlogMax = 128 << 10 // bytes that wait for a socket; no more DATA is made then
)

// owner is the end that a link belongs to.
type owner interface {
	// headers is called with a whole field block.
	headers(l *link, stream uint32, block []byte, end bool) error
	data(l *link, stream uint32, payload []byte, end bool) error
	reset(l *link, stream uint32)
	// away is called for GOAWAY: the streams beyond last will not be answered, nor new ones.
	away(l *link, last uint32)
}

// link is one connection of HTTP/2: buffers, frames and flow control, alike on both ends.
type link struct {
	fd      int
	owner   owner
	expect  string // what has to come before frames
	in, out []byte // what is read and no whole frame, what waits to be written
	blocked bool   // the socket takes no more

	streams   map[uint32]*stream
	ready     []*stream // those that have messages to send, in turn
	window    int       // bytes of DATA that the peer takes
	initial   int       // of a stream's window
	got       int       // bytes of DATA since the last WINDOW_UPDATE
	block     []byte    // a field block that is not whole
	blockEnds bool      // the stream ends with it

	fields   fields
	watching uint32 // what epoll looks for
	next     uint32 // load: the next stream's id
	gone     bool   // load: no new streams
}

// fields are the field blocks of a link.
type fields struct {
	buf bytes.Buffer
	enc *hpack.Encoder
	dec *hpack.Decoder
}

// head writes a HEADERS frame.
func (l *link) head(stream uint32, flags byte, list ...hpack.HeaderField) {
	l.fields.buf.Reset()
	for _, f := range list {
		_ = l.fields.enc.WriteField(f) // to a buffer in memory
	}
	block := l.fields.buf.Bytes()
	l.out = append(appendFrameHead(l.out, len(block), frameHeaders, flags|flagEndHeaders, stream), block...)
}

// stream is one call on a link.
type stream struct {
	id     uint32
	window int
	sends  []batch // to be sent, in order
	queued bool    // in link.ready
	reader reader
	// closing has END_STREAM sent with the last DATA.
	closing bool

	call *call // of the load generator
	ends bool  // app: the client has ended its direction
	head bool  // app: the answer's head is sent; load: it has come
}

// batch is a message to be sent a number of times.
type batch struct {
	message []byte
	times   int
	sent    int // bytes of the first
}

func newLink(fd int, o owner, expect string) *link {
	l := &link{fd: fd, owner: o, expect: expect, streams: map[uint32]*stream{}, window: 1<<16 - 1, initial: 1<<16 - 1}
	l.fields.enc, l.fields.dec = hpack.NewEncoder(&l.fields.buf), hpack.NewDecoder(tableSize, nil)
	if expect == "" {
		l.out = append(l.out, preface...)
	}
	l.out = appendFrameHead(l.out, 12, frameSettings, 0, 0)
	for _, s := range [][2]uint32{{settingStreams, 1024}, {settingWindow, bigWindow}} {
		l.out = binary.BigEndian.AppendUint16(l.out, uint16(s[0]))
		l.out = binary.BigEndian.AppendUint32(l.out, s[1])
	}
	l.out = appendWindow(l.out, 0, bigWindow)
	return l
}

func (l *link) open(id uint32) *stream {
	s := &stream{id: id, window: l.initial}
	l.streams[id] = s
	return s
}

// send queues a message so many times.
func (l *link) send(s *stream, message []byte, times int) {
	s.sends = append(s.sends, batch{message: message, times: times})
	l.queue(s)
}

func (l *link) queue(s *stream) {
	if !s.queued && len(s.sends) > 0 && s.window > 0 {
		s.queued = true
		l.ready = append(l.ready, s)
	}
}

// receive reads once into the shared buffer and handles all frames that are whole.
func (l *link) receive(buffer []byte) error {
	have := copy(buffer, l.in)
	n, err := unix.Read(l.fd, buffer[have:])
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
		return nil
	}
	if err != nil {
		return err
	}
	if n == 0 {
		return io.EOF
	}
	rest := buffer[:have+n]
	if l.expect != "" {
		if len(rest) < len(l.expect) {
			l.in = append(l.in[:0], rest...)
			return nil
		}
		if string(rest[:len(l.expect)]) != l.expect {
			return errFrame
		}
		rest, l.expect = rest[len(l.expect):], ""
	}
	for {
		f, more, ok, err := nextFrame(rest)
		if err != nil {
			return err
		}
		rest = more
		if !ok {
			l.in = append(l.in[:0], rest...)
			return nil
		}
		if err := l.handle(f); err != nil {
			return err
		}
	}
}

func (l *link) handle(f frame) error {
	end := f.flags&flagEnd != 0
	switch f.kind {
	case frameData:
		if l.got += len(f.payload); l.got > bigWindow/4 {
			l.out = appendWindow(l.out, 0, l.got)
			l.got = 0
		}
		return l.owner.data(l, f.stream, f.payload, end)
	case frameHeaders:
		if f.flags&flagEndHeaders != 0 {
			return l.owner.headers(l, f.stream, f.payload, end)
		}
		l.block, l.blockEnds = append(l.block[:0], f.payload...), end
	case frameContinuation:
		l.block = append(l.block, f.payload...)
		if f.flags&flagEndHeaders != 0 {
			return l.owner.headers(l, f.stream, l.block, l.blockEnds)
		}
	case frameReset:
		l.owner.reset(l, f.stream)
	case frameSettings:
		return l.settings(f)
	case framePing:
		if f.flags&flagAck == 0 {
			l.out = append(appendFrameHead(l.out, len(f.payload), framePing, flagAck, 0), f.payload...)
		}
	case frameGoAway:
		if len(f.payload) < 8 {
			return errFrame
		}
		l.owner.away(l, binary.BigEndian.Uint32(f.payload)&^(1<<31))
	case frameWindow:
		return l.opened(f)
	}
	return nil
}

func (l *link) settings(f frame) error {
	if f.flags&flagAck != 0 {
		return nil
	}
	for b := f.payload; len(b) >= 6; b = b[6:] {
		value := binary.BigEndian.Uint32(b[2:])
		switch binary.BigEndian.Uint16(b) {
		case settingTableSize:
			l.fields.enc.SetMaxDynamicTableSizeLimit(value)
		case settingWindow:
			grown := int(value) - l.initial
			l.initial = int(value)
			for _, s := range l.streams {
				s.window += grown
				l.queue(s)
			}
		}
	}
	l.out = appendFrameHead(l.out, 0, frameSettings, flagAck, 0)
	return nil
}

func (l *link) opened(f frame) error {
	if len(f.payload) != 4 {
		return errFrame
	}
	more := int(binary.BigEndian.Uint32(f.payload))
	if f.stream == 0 {
		l.window += more
	} else if s := l.streams[f.stream]; s != nil {
		s.window += more
		l.queue(s)
	}
	return nil
}

// pump makes DATA of what streams have to send, a frame of each in turn, as far as windows and the socket allow. Drained is
// called for each stream that has sent all.
func (l *link) pump(drained func(*stream)) {
	for len(l.ready) > 0 && l.window > 0 && len(l.out) < backlogMax {
		s := l.ready[0]
		l.ready = l.ready[:copy(l.ready, l.ready[1:])]
		s.queued = false
		if len(s.sends) == 0 || l.streams[s.id] != s {
			continue
		}
		b := &s.sends[0]
		rest := b.message[b.sent:]
		n := min(len(rest), s.window, l.window, frameMax)
		b.sent += n
		s.window -= n
		l.window -= n
		if b.sent == len(b.message) {
			if b.sent, b.times = 0, b.times-1; b.times == 0 {
				s.sends = s.sends[:copy(s.sends, s.sends[1:])]
			}
		}
		var flags byte
		if len(s.sends) == 0 && s.closing {
			flags = flagEnd
		}
		l.out = append(appendFrameHead(l.out, n, frameData, flags, s.id), rest[:n]...)
		if len(s.sends) == 0 {
			drained(s)
		}
		l.queue(s)
	}
}

// write makes DATA and writes what waits until there is nothing more to write or the socket is full.
func (l *link) write(drained func(*stream)) error {
	for {
		l.pump(drained)
		if len(l.out) == 0 {
			l.blocked = false
			return nil
		}
		n, err := unix.Write(l.fd, l.out)
		if errors.Is(err, unix.EAGAIN) {
			l.blocked = true
			return nil
		}
		if err != nil {
			return err
		}
		l.out = l.out[:copy(l.out, l.out[n:])]
	}
}
