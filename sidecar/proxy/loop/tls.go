package loop

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// secured is the TLS of a connection. crypto/tls can go on after a read for which nothing has come, and never waits when it
// writes, since what the kernel does not take is queued below it.
type secured struct {
	*tls.Conn
	below *below
	more  bool // the last read returned something: TLS may hold what came with it
	held  bool // it did
}

// read reads what has come.
func (s *secured) read(b []byte) (int, error) {
	s.below.reading = true
	n, err := s.Read(b)
	s.below.reading = false
	s.more = n > 0
	switch {
	case s.below.unread > mostUnread:
		return 0, errUnread
	case n > 0:
		return n, nil // an error comes again
	case err == errAgain: //nolint:errorlint // TLS returns it as it is
		return 0, nil
	}
	return 0, err
}

// holds reports whether something has been read from the socket that nobody has read from TLS, if only the beginning of a record. What is found
// out so is lost.
func (s *secured) holds() bool {
	if s.more && !s.held {
		var b [1]byte
		n, err := s.read(b[:])
		s.held = n > 0 || err != nil
	}
	return s.held || s.below.records.within()
}

// records tells where records begin and end in what is read (RFC 8446 section 5.1).
type records struct {
	head [5]byte
	n    uint8  // of head
	left uint16 // bytes of the record
}

// pass takes in what has been read.
func (r *records) pass(p []byte) {
	for len(p) > 0 {
		if r.left > 0 {
			k := min(len(p), int(r.left))
			r.left -= uint16(k) //nolint:gosec // it is at most left
			p = p[k:]
			continue
		}
		r.head[r.n], p = p[0], p[1:]
		if r.n++; int(r.n) == len(r.head) {
			r.n, r.left = 0, binary.BigEndian.Uint16(r.head[3:])
		}
	}
}

// within reports whether a record has begun and has not come as a whole.
func (r *records) within() bool { return r.n > 0 || r.left > 0 }

// write writes b, in as few calls as it takes.
func (s *secured) write(b []byte) {
	c := s.below.conn
	was, queued := c.state&corked, c.out.Len()
	c.state |= corked
	_, err := s.Write(b)
	if was == 0 {
		c.state &^= corked
		c.Flush()
		c.tellDrained(queued)
	}
	if err != nil && c.state&failed == 0 {
		c.fail(err)
	}
}

// Torn reports whether io.EOF, as Read has returned it, is the end of the socket alone: a peer that has said all over TLS says so
// (RFC 8446 section 6.1), and without that nobody knows whether this was all.
func (c *Conn) Torn() bool { return c.tls != nil && c.tls.below.torn }

func (s *secured) closeWrite() { _ = s.CloseWrite() } // the peer may be gone

// close tells the peer, as far as the kernel takes it at once.
func (s *secured) close() {
	s.below.conn.state &^= corked
	_ = s.Conn.Close()
}

// below is what TLS reads from and writes to. During the handshake that is the goroutine's that does it, and then the loop's.
type below struct {
	net.Conn // nil: TLS calls none of its methods but those below
	conn     *Conn
	fd       int
	more     chan struct{} // holds one when something may have come
	records  records
	shaken   bool        // the handshake is over
	reading  bool        // TLS reads: what it writes are answers of its own
	unread   int         // bytes of those that have been queued since the queue was empty
	cut      atomic.Bool // it is to end
	torn     bool        // the socket's end has come in place of what TLS waited for
}

// mostUnread bounds what TLS has said by itself and the peer has not taken, in bytes: it may ask for an answer, that is a new key,
// by each 27 (RFC 8446 section 4.6.3).
const mostUnread = 4 << 10

var errUnread = errors.New("the peer has TLS answer, and does not read it")

// errAgain says that nothing has come yet. TLS can read again after it.
var errAgain = os.ErrDeadlineExceeded

// Read implements net.Conn.
func (b *below) Read(p []byte) (int, error) {
	if !b.shaken {
		return b.wait(p)
	}
	n, err := b.conn.take(p)
	b.records.pass(p[:n])
	if n == 0 && err == nil {
		err = errAgain
	}
	b.torn = errors.Is(err, io.EOF)
	return n, err
}

// wait reads in the goroutine of the handshake.
func (b *below) wait(p []byte) (int, error) {
	for {
		n, errno := recv(b.fd, p)
		switch {
		case b.cut.Load():
			return 0, os.ErrDeadlineExceeded
		case errno == syscall.EAGAIN:
			<-b.more
			continue
		case errno != 0:
			return 0, os.NewSyscallError("read", errno)
		case n == 0:
			return 0, io.EOF
		}
		b.records.pass(p[:n])
		return n, nil
	}
}

// Write implements net.Conn.
func (b *below) Write(p []byte) (int, error) {
	if b.shaken {
		b.count(len(p))
		b.conn.put(p)
		return len(p), nil
	}
	for done := 0; ; {
		n, errno := send(b.fd, p[done:])
		switch {
		case b.cut.Load():
			return done, os.ErrDeadlineExceeded
		case errno == syscall.EAGAIN: // what is said in a handshake seldom fills the kernel's buffer
			_, _ = unix.Poll([]unix.PollFd{{Fd: int32(b.fd), Events: unix.POLLOUT}}, 100) //nolint:gosec // it is one
			continue
		case errno != 0:
			return done, os.NewSyscallError("write", errno)
		}
		if done += n; done == len(p) {
			return done, nil
		}
	}
}

// count notes that n bytes are about to be written.
func (b *below) count(n int) {
	if b.reading && b.conn.Queued() > 0 {
		b.unread += n
	}
}

// Close implements net.Conn. The connection is the loop's to close.
func (*below) Close() error { return nil }

// SetWriteDeadline implements net.Conn. Nothing waits.
func (*below) SetWriteDeadline(time.Time) error { return nil }

// handshake is the handler of a connection while another goroutine does its TLS handshake.
type handshake struct {
	Nobody
	below *below
	timer Timer
}

// Handshake has a goroutine do a TLS handshake, of tls.Server or tls.Client say, which ends with an error after limit. Then done
// is called on the loop; the connection has to get a Handler there, which Readable is called of next, or be closed. Until
// then nothing else may be done with it.
func (c *Conn) Handshake(over func(net.Conn) *tls.Conn, limit time.Duration, done func(*tls.Conn, error)) {
	b := &below{conn: c, fd: int(c.fd), more: make(chan struct{}, 1)}
	t := over(b)
	h := &handshake{below: b}
	h.timer.Do = h.cut
	c.loop.Set(&h.timer, limit)
	c.handler = h
	go func() {
		err := t.Handshake() //nolint:noctx // the timer
		if !c.loop.Post(func() { c.Guard(func() { h.end(t, err, done) }) }) {
			_ = unix.Close(b.fd) // the loop has ended, and left it to us: see abandon
		}
	}()
}

func (h *handshake) end(t *tls.Conn, err error, done func(*tls.Conn, error)) {
	c := h.below.conn
	c.loop.Stop(&h.timer)
	h.below.shaken = true
	if err == nil {
		c.tls = &secured{Conn: t, below: h.below}
	}
	if done(t, err); c.Closed() {
		return
	}
	c.state |= readable // some of it may be in TLS's hands
	c.Again()
}

// cut ends the handshake. The descriptor must not be closed while the goroutine may use it.
func (h *handshake) cut() {
	h.below.cut.Store(true)
	_ = unix.Shutdown(h.below.fd, unix.SHUT_RDWR)
	h.Readable(h.below.conn)
}

// Cut ends a TLS handshake, as if its time were up.
func (c *Conn) Cut() {
	if h, ok := c.handler.(*handshake); ok {
		h.cut()
	}
}

// CutAfter is Cut after a while, unless the handshake's time is up before that.
func (c *Conn) CutAfter(d time.Duration) {
	if h, ok := c.handler.(*handshake); ok && c.loop.due(d) < h.timer.at {
		c.loop.Set(&h.timer, d)
	}
}

// abandon is for a loop that ends: the goroutine closes the descriptor, which may be another file's as soon as it is closed.
func (h *handshake) abandon() { h.cut() }

// Readable implements Handler.
func (h *handshake) Readable(*Conn) {
	h.below.conn.state &^= readable // the other goroutine reads it
	select {
	case h.below.more <- struct{}{}:
	default:
	}
}

// Failed implements Handler.
func (h *handshake) Failed(*Conn, error) { h.cut() }
