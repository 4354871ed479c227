//go:build unix && !(linux && !386 && !s390x)

package relay

import (
	"syscall"
	"unsafe"
)

// rawRead reads from a socket that does not block.
func rawRead(fd uintptr, b []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall(syscall.SYS_READ, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b))) //nolint:gosec // as syscall.Read does
	return int(n), errno
}

// rawPeek looks at what has come and leaves it there.
func rawPeek(fd uintptr, b []byte) (int, syscall.Errno) {
	n, _, err := syscall.Recvfrom(int(fd), b, syscall.MSG_PEEK)
	if errno, ok := err.(syscall.Errno); ok { //nolint:errorlint // it is one
		return 0, errno
	}
	return n, 0
}

// rawWrite writes to a socket that does not block.
func rawWrite(fd uintptr, b []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall(syscall.SYS_WRITE, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b))) //nolint:gosec // as syscall.Write does
	return int(n), errno
}
