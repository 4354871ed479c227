//go:build unix

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

// rawWrite writes to a socket that does not block.
func rawWrite(fd uintptr, b []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall(syscall.SYS_WRITE, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b))) //nolint:gosec // as syscall.Write does
	return int(n), errno
}
