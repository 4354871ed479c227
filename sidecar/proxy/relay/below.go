package relay

import (
	"crypto/tls"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
)

// Below is what TLS reads from and writes to: a TCP connection, or another one after Replace. Where it serves a Relay, waits
// of the connection above it can be parked as those of a plain connection are: crypto/tls can go on after a read for which
// nothing has come, and need not know what of its writing the kernel has not taken yet. One goroutine may read, and any
// number may write.
type Below struct {
	net.Conn
	raw syscall.RawConn // nil: nothing can be parked
	now atomic.Bool     // reads do not wait: errAgain

	mu   sync.Mutex
	kept []byte // guarded by mu: to be written before anything else
}

// maxKept bounds what is kept for a client that does not read, in bytes: the piece that is given to TLS at a time, and
// what TLS says of its own accord.
const maxKept = 2 * mediumBlock

// Replace has TLS read from and write to another connection from now on.
func (b *Below) Replace(c net.Conn) { b.Conn = c }

// prepare readies b for parking.
func (b *Below) prepare() bool {
	tcp, ok := b.Conn.(*net.TCPConn)
	if !ok {
		return false
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return false
	}
	b.raw = raw
	return true
}

// SetLinger has Close reset the connection if sec is 0.
func (b *Below) SetLinger(sec int) error {
	if l, ok := b.Conn.(interface{ SetLinger(sec int) error }); ok {
		return l.SetLinger(sec)
	}
	return nil
}

// errAgain says that nothing has come yet. TLS takes it for a deadline that is over, after which it can read again.
var errAgain net.Error = again{}

type again struct{}

// Error returns the text.
func (again) Error() string { return "nothing has come yet" }

// Timeout implements net.Error.
func (again) Timeout() bool { return true }

// Temporary implements net.Error.
func (again) Temporary() bool { return true }

// Read implements net.Conn.
func (b *Below) Read(p []byte) (n int, err error) {
	if !b.now.Load() {
		return b.Conn.Read(p)
	}
	var errno syscall.Errno
	callErr := b.raw.Read(func(fd uintptr) bool {
		for n, errno = rawRead(fd, p); errno == syscall.EINTR; {
			n, errno = rawRead(fd, p)
		}
		return true
	})
	switch {
	case callErr != nil:
		return 0, callErr
	case errno == syscall.EAGAIN:
		return 0, errAgain
	case errno != 0:
		return 0, errno
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

// Write implements net.Conn. Once parking is prepared it does not wait: what the kernel does not take is kept, for flush.
func (b *Below) Write(p []byte) (int, error) {
	if b.raw == nil {
		return b.Conn.Write(p)
	}
	rest := p
	if err := b.write(&rest, false); err != nil {
		return len(p) - len(rest), err
	}
	if err := b.keep(rest); err != nil {
		return 0, err
	}
	return len(p), nil
}

// flush writes what is kept. If it does not wait, it may leave some.
func (b *Below) flush(wait bool) error { return b.write(new([]byte), wait) }

// write writes what is kept and then p, from which it takes what has been written.
func (b *Below) write(p *[]byte, wait bool) (err error) {
	callErr := b.raw.Write(func(fd uintptr) bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		if err = takeSome(fd, &b.kept); err == nil && len(b.kept) == 0 {
			b.kept = nil
			err = takeSome(fd, p)
		}
		return err != nil || !wait || b.kept == nil
	})
	if callErr != nil {
		return callErr
	}
	return err
}

// takeSome writes as much as can be written at once and takes it from b.
func takeSome(fd uintptr, b *[]byte) error {
	if len(*b) == 0 {
		return nil
	}
	n, err := writeSome(fd, *b)
	*b = (*b)[n:]
	return err
}

func (b *Below) keep(rest []byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.kept)+len(rest) > maxKept {
		return net.ErrClosed
	}
	b.kept = append(b.kept, rest...)
	return nil
}

// keeps reports whether something is still to be written.
func (b *Below) keeps() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.kept != nil
}

// secured is a TLS connection on a Below that is prepared. Its Write waits, and a client that reads nothing has it hold no
// more than a piece.
type secured struct {
	*tls.Conn
	below *Below
}

// secure returns a TLS connection whose waits can be parked, or nil.
func secure(c net.Conn) *secured {
	t, ok := c.(*tls.Conn)
	if !ok {
		return nil
	}
	below, ok := t.NetConn().(*Below)
	if !ok || !below.prepare() {
		return nil
	}
	return &secured{Conn: t, below: below}
}

// Write implements net.Conn.
func (s *secured) Write(b []byte) (n int, err error) {
	for {
		m, err := s.piece(b[n:])
		if n += m; err == nil {
			err = s.below.flush(true)
		}
		if err != nil || n == len(b) {
			return n, err
		}
	}
}

// piece gives the beginning of b to TLS. Flush has to find nothing kept before.
func (s *secured) piece(b []byte) (int, error) { return s.Conn.Write(b[:min(len(b), mediumBlock/2)]) }

// try reads what has come, without waiting: errAgain if there is nothing.
func (s *secured) try(b []byte) (int, error) {
	s.below.now.Store(true)
	defer s.below.now.Store(false)
	return s.Read(b)
}
