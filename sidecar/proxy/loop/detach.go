package loop

import (
	"net"

	"golang.org/x/sys/unix"
)

// Detach takes a connection's socket from the runtime, for Add. The connection is closed.
func Detach(c *net.TCPConn) (fd int, err error) {
	defer func() { _ = c.Close() }()
	raw, err := c.SyscallConn()
	if err != nil {
		return -1, err
	}
	if ctlErr := raw.Control(func(s uintptr) { fd, err = unix.FcntlInt(s, unix.F_DUPFD_CLOEXEC, 0) }); ctlErr != nil {
		return -1, ctlErr
	}
	return fd, err
}
