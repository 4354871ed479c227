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

// quiet reports whether a connection that should be silent is: open, and nothing has come.
func quiet(c *net.TCPConn) bool {
	if c == nil {
		return true // not to be seen through TLS; a retry will have to do
	}
	_, err := peek(c)
	return err == unix.EAGAIN //nolint:errorlint // an errno
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

// unsent reports whether the kernel holds bytes that the peer has not taken.
func unsent(c *net.TCPConn) bool {
	if c == nil {
		return false
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	n := 0
	if ctlErr := raw.Control(func(fd uintptr) { n, err = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) }); ctlErr != nil {
		return false
	}
	return err == nil && n > 0
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
