package relay

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

// HTTP2Conn is a client connection of HTTP/2, or what is below it in TLS. Go's server reads each frame in two pieces; this
// reads what has come at once, and holds a buffer only while there is something in it. A Write fails if the client takes
// nothing for too long. One goroutine may read and another one write.
type HTTP2Conn struct {
	net.Conn
	in stream // of the reading goroutine

	timeout time.Duration         // of writing; 0: none
	step    func(fd uintptr) bool // h.some, made once
	out     []byte                // of the writing goroutine, as the next two: to be written
	n       int                   // has been written
	err     error

	mu   sync.Mutex
	last bool // guarded by mu: the owner has set a deadline of writing, which is not to be put off
}

// NewHTTP2Conn returns a connection that reads c, and before that what has been read of it. A Write fails once the client
// has taken nothing for as long as timeout; 0: it may take any time.
func NewHTTP2Conn(c net.Conn, read []byte, timeout time.Duration) *HTTP2Conn {
	h := &HTTP2Conn{Conn: c, timeout: timeout}
	h.step = h.some
	h.in.init(c, smallBlock, nil)
	if len(read) > 0 {
		h.in.buf.reserve(len(read))
		h.in.buf.w = copy(h.in.buf.free(), read)
	}
	return h
}

// Read implements net.Conn.
func (h *HTTP2Conn) Read(b []byte) (int, error) {
	in := &h.in
	if in.buf.len() == 0 {
		if len(b) >= smallBlock {
			return h.Conn.Read(b)
		}
		if err := in.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(b, in.buf.bytes())
	in.buf.take(n)
	in.buf.release()
	return n, nil
}

// Write implements net.Conn. Most of what is written the kernel takes at once, so that no time has to be kept.
func (h *HTTP2Conn) Write(b []byte) (n int, err error) {
	if h.in.plain {
		h.out, h.n, h.err = b, 0, nil
		if err := h.in.raw.Write(h.step); err != nil {
			return 0, err
		}
		h.out = nil
		if n = h.n; h.err != nil || n == len(b) {
			return n, h.err
		}
	}
	defer h.deadline(time.Time{})
	for {
		h.deadline(time.Now().Add(h.timeout))
		m, err := h.Conn.Write(b[n:])
		if n += m; err == nil || m == 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
	}
}

// some writes what the kernel takes.
func (h *HTTP2Conn) some(fd uintptr) bool {
	h.n, h.err = writeSome(fd, h.out)
	return true
}

// deadline sets the deadline of writing, unless the owner has.
func (h *HTTP2Conn) deadline(t time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.timeout > 0 && !h.last {
		_ = h.Conn.SetWriteDeadline(t) // closed already, if it fails
	}
}

// SetWriteDeadline implements net.Conn. It is for the end: the time that a Write may take is not counted any more.
func (h *HTTP2Conn) SetWriteDeadline(t time.Time) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last = true
	return h.Conn.SetWriteDeadline(t)
}
