//go:build unix

package loop

import (
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Listener accepts connections on a loop, and gives them to whoever is to have them, mostly another loop.
type Listener struct {
	conn  *Conn
	take  func(fd int, from netip.AddrPort)
	fail  func(error)
	full  bool
	pause Timer
	wait  time.Duration
}

// Listen accepts on a socket that listens and does not block, which is the loop's from then on. Take gets each connection's
// socket, which does not block; fail is told of what is wrong with accepting, which is tried again after a while.
func (l *Loop) Listen(fd int, take func(fd int, from netip.AddrPort), fail func(error)) (*Listener, error) {
	s := &Listener{take: take, fail: fail}
	s.pause.Do = s.accept
	var err error
	s.conn, err = l.Add(fd, s)
	return s, err
}

// Pause has the listener accept nothing until Resume; clients wait in the kernel's queue.
func (s *Listener) Pause() { s.full = true }

// Resume takes Pause back.
func (s *Listener) Resume() {
	s.full = false
	s.conn.Again()
}

// Close closes the socket.
func (s *Listener) Close() {
	s.conn.loop.Stop(&s.pause)
	s.conn.Close()
}

// Readable implements Handler.
func (s *Listener) Readable(*Conn) { s.accept() }

// Connected implements Handler.
func (*Listener) Connected(*Conn, error) {}

// Drained implements Handler.
func (*Listener) Drained(*Conn) {}

// Failed implements Handler.
func (*Listener) Failed(*Conn, error) {}

func (s *Listener) accept() {
	for !s.full && !s.conn.Closed() {
		fd, peer, err := accept(int(s.conn.fd))
		switch err {
		case nil:
			s.wait = 0
			_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
			s.take(fd, addrOf(peer))
		case unix.EINTR, unix.ECONNABORTED: //nolint:errorlint // errnos
		case unix.EAGAIN:
			s.conn.quiet()
			return
		default: // out of descriptors, say: some may be given back soon
			s.wait = min(max(2*s.wait, Tick), time.Second)
			s.conn.loop.Set(&s.pause, s.wait)
			s.fail(os.NewSyscallError("accept4", err))
			return
		}
	}
}

func addrOf(a unix.Sockaddr) netip.AddrPort {
	switch a := a.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port)) //nolint:gosec // it is a port
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr), uint16(a.Port)) //nolint:gosec // as above
	}
	return netip.AddrPort{}
}
