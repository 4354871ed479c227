package proxy

import (
	"fmt"
	"io"
	"net"

	"golang.org/x/sys/unix"
)

// firstByte waits for the first byte of a connection and leaves it there.
func firstByte(c net.Conn) (byte, error) {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return 0, fmt.Errorf("a %T cannot be looked into", c)
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return 0, err
	}
	var b [1]byte
	n := 0
	waitErr := raw.Read(func(fd uintptr) bool {
		n, _, err = unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK)
		return err != unix.EAGAIN && err != unix.EINTR //nolint:errorlint // an errno
	})
	switch {
	case waitErr != nil:
		return 0, waitErr
	case err == nil && n == 0:
		return 0, io.EOF
	}
	return b[0], err
}
