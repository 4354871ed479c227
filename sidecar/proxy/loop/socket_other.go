//go:build unix && (!linux || 386 || s390x || loop_poll)

package loop

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// recv reads from a socket that does not block.
func recv(fd int, b []byte) (int, syscall.Errno) {
	return result(func() (int, error) { return unix.Read(fd, b) })
}

// send writes to a socket that does not block. Go has no signal end a process that writes to a socket whose peer is gone.
func send(fd int, b []byte) (int, syscall.Errno) {
	return result(func() (int, error) { return unix.Write(fd, b) })
}

func result(call func() (int, error)) (int, syscall.Errno) {
	for {
		n, err := call()
		errno, _ := err.(syscall.Errno) //nolint:errorlint // an errno
		if errno != syscall.EINTR {
			return max(n, 0), errno
		}
	}
}

func narrow(int) {}
func widen(int)  {}

// held is how many bytes the kernel holds for the connection; 0 where it does not say.
func (*Conn) held() int64 { return 0 }
