//go:build linux && !386 && !s390x

package relay

import (
	"syscall"
	"unsafe"
)

// rawRead reads from a socket that does not block. recvfrom(2) has a shorter way through the kernel than read(2).
func rawRead(fd uintptr, b []byte) (int, syscall.Errno) {
	return receive(fd, b, syscall.MSG_DONTWAIT)
}

// rawPeek looks at what has come and leaves it there.
func rawPeek(fd uintptr, b []byte) (int, syscall.Errno) {
	return receive(fd, b, syscall.MSG_DONTWAIT|syscall.MSG_PEEK)
}

func receive(fd uintptr, b []byte, flags uintptr) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), flags, 0, 0) //nolint:gosec // as syscall.recvfrom does
	return int(n), errno
}

// rawWrite writes to a socket that does not block.
func rawWrite(fd uintptr, b []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall6(syscall.SYS_SENDTO, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL, 0, 0) //nolint:gosec // as syscall.sendto does
	return int(n), errno
}
