//go:build linux && !386 && !s390x && !loop_poll

package loop

import (
	"syscall"
	"unsafe"
)

// recv reads from a socket without blocking, so the scheduler need not be told. recvfrom(2) has a shorter way through the
// kernel than read(2).
func recv(fd int, b []byte) (int, syscall.Errno) {
	for {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), syscall.MSG_DONTWAIT, 0, 0) //nolint:gosec // as syscall.recvfrom does
		if errno != syscall.EINTR {
			return int(n), errno
		}
	}
}

// send writes to a socket without blocking.
func send(fd int, b []byte) (int, syscall.Errno) {
	for {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL, 0, 0) //nolint:gosec // as syscall.sendto does
		if errno != syscall.EINTR {
			return int(n), errno
		}
	}
}
