package relay

import (
	"io"
	"net"
	"syscall"
)

// stream reads from a connection into a buffer that has a block only while there is something in it.
type stream struct {
	wait
	plain  bool     // the socket is read, and nothing is between
	secure *secured // TLS is between, and waits can be parked
	buf    buffer
	want   int  // room to have when reading
	used   bool // an answer has come: what comes unasked is not another

	first   []byte // to be written before the next read
	drained bool   // the last read took all that there was
	n       int    // of the last read
	err     error
	read    func(fd uintptr) bool // s.ready, made once
	look    func(fd uintptr) bool // for silent
	one     [1]byte               // for said
}

// init readies a stream for a connection. Each read has room for at least want bytes. With a lot, waits can be parked.
func (s *stream) init(c net.Conn, want int, l *lot) {
	s.conn, s.want = c, want
	switch c := c.(type) {
	case *secured:
		s.secure, s.raw, s.lot = c, c.below.raw, l
	case *net.TCPConn:
		if raw, err := c.SyscallConn(); err == nil {
			s.plain, s.raw, s.lot = true, raw, l
			s.read = s.ready
			s.look = func(fd uintptr) bool {
				if s.said(fd) {
					s.stale()
				}
				return true
			}
		}
	}
}

// await is fill for those who can be parked: they get errParked when the sweep finds that they wait for long.
func (s *stream) await() error {
	s.begin()
	return s.settle(s.fill())
}

// awaitLong is await for a wait that is likely to be long. In a crowd it is parked at once.
func (s *stream) awaitLong() error {
	if !s.crowded() {
		return s.await()
	}
	if read, err := s.try(); read || err != nil {
		return err
	}
	return errParked
}

// fill reads at least one more byte, or returns an error: io.EOF at the end.
func (s *stream) fill() error {
	if !s.plain {
		s.buf.reserve(s.want)
		n, err := s.conn.Read(s.buf.free())
		s.buf.w += n
		if n > 0 {
			return nil // an error comes again
		}
		s.buf.release()
		return err
	}
	if err := s.raw.Read(s.read); err != nil {
		return err
	}
	if s.err != nil {
		return s.err
	}
	if s.n == 0 {
		s.buf.release()
		return io.EOF
	}
	return nil
}

// errStale says that a connection which should be silent has been closed or has something to say. Nothing has been written.
const errStale connError = "the connection is not silent"

// ask writes b and reads what is answered, or returns errParked. If something has come on a used connection before b is
// written, which nobody asked for, that is errStale: it must not be taken for the answer.
func (s *stream) ask(b []byte) error {
	if !s.plain {
		if _, err := s.conn.Write(b); err != nil {
			return err
		}
		return s.fill()
	}
	s.first = b
	err := s.await()
	rest := s.first
	s.first = nil
	if err != nil || len(rest) == 0 {
		return err
	}
	if _, err := s.conn.Write(rest); err != nil { // the kernel took a part
		return err
	}
	return s.await()
}

// ready is called when bytes may have come. It returns false if there are none, and then holds no more than before.
func (s *stream) ready(fd uintptr) bool {
	if len(s.first) == 0 {
		return s.once(fd)
	}
	said := s.said(fd)
	if said && s.used {
		s.stale()
		return true
	}
	n, err := writeSome(fd, s.first)
	s.first = s.first[n:]
	s.n, s.err = 1, err // 1: not the end
	return err != nil || len(s.first) > 0 || said && s.once(fd)
}

// silent returns errStale if something has come on a used connection that nobody asked for.
func (s *stream) silent() error {
	if !s.plain || !s.used {
		return nil // under TLS it is not to be seen without waiting
	}
	s.n, s.err = 1, nil
	if err := s.raw.Read(s.look); err != nil {
		return err
	}
	return s.err
}

// said reports whether the peer has said something, or has ended the connection.
func (s *stream) said(fd uintptr) bool {
	for {
		switch _, errno := rawPeek(fd, s.one[:]); errno {
		case syscall.EINTR:
		case syscall.EAGAIN:
			return false
		default:
			return true
		}
	}
}

func (s *stream) stale() {
	s.first, s.n, s.err = nil, 0, errStale
	s.buf.take(s.buf.len())
	s.buf.release()
}

// once reads what has come. It returns false if nothing has.
//
// The socket does not block, so neither do the calls: the scheduler need not be told of them.
func (s *stream) once(fd uintptr) bool {
	s.buf.reserve(s.want)
	for {
		n, errno := rawRead(fd, s.buf.free())
		if errno == syscall.EINTR {
			continue
		}
		if errno == syscall.EAGAIN {
			s.buf.release()
			return false
		}
		if errno != 0 {
			s.n, s.err = 0, errno
			return true
		}
		s.drained = n < len(s.buf.free())
		s.n, s.err = n, nil
		s.buf.w += n
		return true
	}
}

// writeSome writes as much as can be written at once.
func writeSome(fd uintptr, b []byte) (int, error) {
	for {
		n, errno := rawWrite(fd, b)
		if errno == syscall.EINTR {
			continue
		}
		if errno == syscall.EAGAIN {
			return 0, nil
		}
		if errno != 0 {
			return 0, errno
		}
		return n, nil
	}
}

// poll reads what there is, without waiting. It reports whether it has read anything or found the end; if not, fill waits
// for either.
func (s *stream) poll() (bool, error) {
	if !s.plain || s.drained {
		return false, nil
	}
	return s.try()
}

// try is poll for a connection of which waits can be parked, whatever the last read has found.
func (s *stream) try() (bool, error) {
	if s.secure != nil {
		return s.trySecure()
	}
	ready := false
	if err := s.raw.Read(func(fd uintptr) bool { ready = s.once(fd); return true }); err != nil {
		return false, err
	}
	switch {
	case !ready:
		return false, nil
	case s.err != nil:
		return false, s.err
	case s.n == 0:
		s.buf.release()
		return false, io.EOF
	}
	return true, nil
}

func (s *stream) trySecure() (bool, error) {
	s.buf.reserve(s.want)
	n, err := s.secure.try(s.buf.free())
	s.buf.w += n
	if n > 0 {
		return true, nil // an error comes again
	}
	s.buf.release()
	if err == errAgain { //nolint:errorlint // TLS returns it as it is
		return false, nil
	}
	return false, err
}
