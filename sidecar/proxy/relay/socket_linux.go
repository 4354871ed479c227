package relay

import (
	"net"

	"golang.org/x/sys/unix"
)

// sideOf looks at what the peer has done with its side. It does not block.
func sideOf(c *net.TCPConn) side {
	switch n, err := peek(c); {
	case err == nil && n == 0:
		return sideClosed
	case err == nil, err == unix.EAGAIN, err == unix.EINTR: //nolint:errorlint // an errno
		return sideOpen
	}
	return sideGone
}

// hangs looks at what the peer has done with its side, also where bytes of it have not been read yet. It does not block.
func hangs(c *net.TCPConn) (s side) {
	if c == nil {
		return sideOpen
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return sideGone
	}
	if raw.Control(func(fd uintptr) {
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}} //nolint:gosec // it is a file descriptor
		switch n, err := unix.Poll(p, 0); {
		case n < 1 || err != nil: // nothing has happened
		case p[0].Revents&(unix.POLLERR|unix.POLLHUP) != 0:
			s = sideGone
		case p[0].Revents&unix.POLLRDHUP != 0:
			s = sideClosed
		}
	}) != nil {
		return sideGone
	}
	return s
}

func peek(c *net.TCPConn) (n int, err error) {
	if c == nil {
		return 0, unix.EAGAIN
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var b [1]byte
	ctlErr := raw.Control(func(fd uintptr) {
		n, _, err = unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
	})
	if ctlErr != nil {
		return 0, ctlErr
	}
	return n, err
}

// sent returns how many bytes the peer has taken in all, and whether there are more that it has not.
func sent(c *net.TCPConn) (acked uint64, waiting bool) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, false
	}
	_ = raw.Control(func(fd uintptr) { // a closed connection has nothing to say
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			acked = info.Bytes_acked
		}
		n, err := unix.IoctlGetInt(int(fd), unix.SIOCOUTQ)
		waiting = err == nil && n > 0
	})
	return acked, waiting
}

// tell writes a few bytes if they can be written at once. It reports whether all were.
func tell(c *net.TCPConn, b []byte) bool {
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	n := 0
	if ctlErr := raw.Control(func(fd uintptr) { n, err = unix.Write(int(fd), b) }); ctlErr != nil {
		return false
	}
	return err == nil && n == len(b)
}

// received returns how many bytes of the peer's the kernel has received in all, and whether it holds some of them.
func received(c *net.TCPConn) (total uint64, held bool) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, false
	}
	_ = raw.Control(func(fd uintptr) { // a closed connection has nothing to say
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			total = info.Bytes_received
		}
		n, err := unix.IoctlGetInt(int(fd), unix.SIOCINQ)
		held = err == nil && n > 0
	})
	return total, held
}
