package relay

import (
	"errors"
	"io"
	"net"
	"syscall"
)

// stream reads from a connection into a buffer that has a block only while there is something in it.
type stream struct {
	conn net.Conn
	raw  syscall.RawConn // nil: not a TCP connection, so it cannot be waited for without a buffer
	buf  buffer
	want int // room to have when reading

	n    int
	err  error
	read func(fd uintptr) bool // s.ready, made once
}

// init readies a stream for a connection. Each read has room for at least want bytes.
func (s *stream) init(c net.Conn, want int) {
	s.conn, s.want = c, want
	if tcp, ok := c.(*net.TCPConn); ok {
		if raw, err := tcp.SyscallConn(); err == nil {
			s.raw = raw
			s.read = s.ready
		}
	}
}

// fill reads at least one more byte, or returns an error: io.EOF at the end.
func (s *stream) fill() error {
	if s.raw == nil {
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

// ready is called when bytes may have come. It returns false if there are none, and then holds no more than before.
func (s *stream) ready(fd uintptr) bool {
	s.buf.reserve(s.want)
	for {
		s.n, s.err = syscall.Read(int(fd), s.buf.free())
		switch {
		case errors.Is(s.err, syscall.EINTR):
			continue
		case errors.Is(s.err, syscall.EAGAIN):
			s.buf.release()
			return false
		case s.err == nil:
			s.buf.w += s.n
		}
		return true
	}
}
