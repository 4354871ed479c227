package proxy

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bearerguard/bearerguard/sidecar/proxy/head"
)

// preface starts an HTTP/2 connection with prior knowledge (RFC 9113 section 3.4).
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// refusedHead takes the place of a head that breaks the grammar, so that the server comes to it in its turn, after
// earlier answers on the connection, and the handler answers it like any other refusal.
const refusedHead = "GET / HTTP/1.1\r\nHost: refused\r\nConnection: close\r\n\r\n"

// strictConn lets net/http read only request heads that package head accepts: net/http itself takes bare LF, folded
// fields, two framings at once and repeated lengths. HTTP/2 is passed through.
type strictConn struct {
	net.Conn
	limits  head.Limits
	timeout time.Duration // for one head, from its first byte

	info    connInfo
	release func() // gives the connection's place to another; may be nil
	once    sync.Once

	refusal atomic.Pointer[refusal]
	over    atomic.Bool // nothing more is handed on; see abandon
	served  int64       // heads that the handler has seen; only the handler's goroutine uses it

	// The rest is used by the one goroutine that reads.
	block   *[blockSize]byte // from the pool, if buf lies in it
	buf     []byte           // read and not yet handed on
	ready   int              // how many bytes of buf may be handed on
	scanned int              // how many bytes of buf have been looked at for an end
	blank   bool             // an empty line came before this head
	heads   int64
	mode    readMode
	left    int64
	chunks  head.Chunks

	mu           sync.Mutex
	deadline     time.Time // as the server wants it
	headDeadline time.Time // zero: no head has begun
}

// refusal marks the n-th head of a connection, counted from 1.
type refusal struct {
	n   int64
	err error
}

// readMode says what is to come.
type readMode int

// body holds for bytes that may be handed on as they come.
func (m readMode) body() bool { return m == readLength || m == readChunks || m == readRaw }

const (
	readFirst  readMode = iota // nothing is known yet
	readHead                   // a head is to come
	readLength                 // a body of known length
	readChunks                 // a body in chunks
	readRaw                    // anything: HTTP/2, or what follows an upgrade
	readEnd                    // nothing more: the last head was refused
)

// raw stops looking at what is read; bytes that were held back are handed on first.
func (c *strictConn) raw() {
	c.mode, c.ready = readRaw, len(c.buf)
	c.setHeadDeadline(time.Time{})
}

// abandon ends reading for good. It is called when a request has been answered and its body has not ended: what is still
// to come belongs to that body, and net/http would take it for the next request's head.
func (c *strictConn) abandon() { c.over.Store(true) }

// Read hands on bytes that have been checked.
func (c *strictConn) Read(p []byte) (int, error) {
	for {
		if c.over.Load() {
			return 0, net.ErrClosed
		}
		if c.ready > 0 {
			n := copy(p, c.buf[:c.ready])
			c.buf, c.ready, c.scanned = c.buf[n:], c.ready-n, max(0, c.scanned-n)
			if len(c.buf) == 0 {
				c.freeBuffer()
			}
			return n, nil
		}
		if len(c.buf) == 0 && c.mode.body() {
			return c.readBody(p)
		}
		if len(c.buf) > 0 {
			advanced, err := c.advance()
			if err != nil {
				return 0, err
			}
			if advanced {
				continue
			}
		}
		if c.mode == readEnd {
			return 0, net.ErrClosed
		}
		if err := c.fill(); err != nil {
			return 0, err
		}
	}
}

// readBody reads straight into p, as nothing is held back.
func (c *strictConn) readBody(p []byte) (int, error) {
	if c.mode == readLength && c.left < int64(len(p)) {
		p = p[:c.left]
	}
	n, err := c.Conn.Read(p)
	if c.mode == readLength {
		if c.left -= int64(n); c.left == 0 {
			c.mode = readHead
		}
		return n, err
	}
	if c.mode != readChunks || n == 0 {
		return n, err
	}
	own, done, bad := c.chunks.Scan(p[:n])
	if bad != nil {
		c.mode = readEnd
		return 0, bad
	}
	if done {
		c.mode = readHead
		c.buf = append(c.buf, p[own:n]...) // the next head's
	}
	return own, err
}

// fill reads more into the buffer.
func (c *strictConn) fill() error {
	switch {
	case len(c.buf) == 0 && c.block == nil:
		c.block = blocks.Get().(*[blockSize]byte)
		c.buf = c.block[:0]
	case cap(c.buf)-len(c.buf) < blockSize/4:
		c.buf = append(make([]byte, 0, 2*len(c.buf)+blockSize), c.buf...)
	}
	n, err := c.Conn.Read(c.buf[len(c.buf):cap(c.buf)])
	c.buf = c.buf[:len(c.buf)+n]
	if len(c.buf) == 0 {
		c.freeBuffer()
	}
	if n > 0 {
		return nil // an error comes again
	}
	return err
}

const blockSize = 4 << 10

// blocks holds buffers for heads, so that idle connections have none.
var blocks = sync.Pool{New: func() any { return new([blockSize]byte) }}

func (c *strictConn) freeBuffer() {
	c.buf = nil
	if c.block != nil {
		blocks.Put(c.block)
		c.block = nil
	}
}

// advance looks at the buffer, which has no checked bytes. It reports whether that changed anything.
func (c *strictConn) advance() (bool, error) {
	switch c.mode {
	case readFirst:
		n := min(len(c.buf), len(preface))
		if string(c.buf[:n]) != preface[:n] {
			c.mode = readHead
			return true, nil
		}
		if n == len(preface) {
			c.raw()
			return true, nil
		}
		c.startHead()
		return false, nil
	case readHead:
		return c.readHead(), nil
	case readLength:
		n := min(c.left, int64(len(c.buf)))
		c.ready, c.left = int(n), c.left-n
		if c.left == 0 {
			c.mode = readHead
		}
		return true, nil
	case readChunks:
		n, done, err := c.chunks.Scan(c.buf)
		if err != nil {
			return false, err
		}
		c.ready = n
		if done {
			c.mode = readHead
		}
		return true, nil
	case readRaw:
		c.ready = len(c.buf)
		return true, nil
	case readEnd:
		c.freeBuffer()
	}
	return false, nil
}

// startHead starts the clock for a head that has begun.
func (c *strictConn) startHead() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.headDeadline.IsZero() {
		c.headDeadline = time.Now().Add(c.timeout)
		_ = c.applyDeadline() // a closed connection says so when it is read
	}
}

// readHead hands on a complete head if it is a good one.
func (c *strictConn) readHead() bool {
	if !c.blank && len(c.buf) >= 2 && string(c.buf[:2]) == "\r\n" {
		c.buf, c.scanned, c.blank = c.buf[2:], 0, true // one empty line is ignored (RFC 9112 section 2.2)
		if len(c.buf) == 0 {
			c.freeBuffer()
			return true
		}
	}
	end := head.End(c.buf, c.scanned)
	if end == 0 {
		err := head.Check(c.buf, c.scanned, c.limits)
		if c.scanned = len(c.buf); err != nil {
			c.refuse(err)
			return true
		}
		c.startHead()
		return false
	}
	r, err := head.Parse(c.buf[:end], c.limits)
	if err != nil {
		c.refuse(err)
		return true
	}
	c.setHeadDeadline(time.Time{})
	c.heads++
	c.ready, c.scanned, c.blank = end, 0, false
	switch {
	case r.Chunked:
		c.mode, c.chunks = readChunks, head.Chunks{}
	case r.Length > 0:
		c.mode, c.left = readLength, r.Length
	default:
		c.mode = readHead
	}
	return true
}

// refuse puts a harmless head in the place of a bad one, and ends what can be read after it.
func (c *strictConn) refuse(err error) {
	c.heads++
	c.refusal.Store(&refusal{c.heads, err})
	c.setHeadDeadline(time.Time{})
	c.freeBuffer()
	c.buf = []byte(refusedHead)
	c.ready, c.mode = len(c.buf), readEnd
}

// next is called by the handler for each request, in order. It returns why the head was refused, if it was.
func (c *strictConn) next() error {
	c.served++
	if c.refused(c.served) {
		return c.refusal.Load().err
	}
	return nil
}

// refused reports whether the n-th head was refused.
func (c *strictConn) refused(n int64) bool {
	r := c.refusal.Load()
	return r != nil && r.n == n
}

// SetReadDeadline sets the deadline that the server wants; one for a head that has begun may be earlier.
func (c *strictConn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = t
	return c.applyDeadline()
}

// SetDeadline sets both deadlines.
func (c *strictConn) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.SetWriteDeadline(t)
}

func (c *strictConn) setHeadDeadline(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.headDeadline.IsZero() && t.IsZero() {
		return
	}
	c.headDeadline = t
	_ = c.applyDeadline() // a closed connection says so when it is read
}

func (c *strictConn) applyDeadline() error {
	t := c.deadline
	if t.IsZero() || !c.headDeadline.IsZero() && c.headDeadline.Before(t) {
		t = c.headDeadline
	}
	return c.Conn.SetReadDeadline(t)
}

// CloseWrite shuts down the writing side, where the connection can.
func (c *strictConn) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return errors.ErrUnsupported
}

// Close closes the connection and gives its place to another.
func (c *strictConn) Close() error {
	if c.refusal.Load() != nil {
		c.linger()
	}
	err := c.Conn.Close()
	c.once.Do(func() {
		if c.release != nil {
			c.release()
		}
	})
	return err
}

// linger lets a client read its refusal before what it still sends makes the kernel reset the connection
// (RFC 9112 section 9.6).
func (c *strictConn) linger() {
	const (
		patience = 500 * time.Millisecond
		most     = 256 << 10
	)
	if c.CloseWrite() != nil || c.Conn.SetReadDeadline(time.Now().Add(patience)) != nil {
		return
	}
	_, _ = io.CopyN(io.Discard, c.Conn, most) // it ends at the client's close, the deadline or the bound
}
