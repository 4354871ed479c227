//go:build linux && !386 && !s390x && !loop_poll

package loop

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
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

// What the kernel holds of what has come, and of what is to be sent, for a connection while it is to hold little, and at first when it need not any more,
// in bytes. It takes twice as much with its own.
const (
	narrowed = 16 << 10
	widened  = 64 << 10
)

// narrow has the kernel hold little for a socket.
func narrow(fd int) {
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, narrowed)
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, narrowed)
}

// widen has it hold as much as it finds good, from Linux 5.14 on.
func widen(fd int) {
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, widened)
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, widened)
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BUF_LOCK, 0)
}

// held is how many bytes the kernel holds for the connection: what has come and has not been read, and what the peer has yet to take.
func (c *Conn) held() int64 {
	var info [9]uint32 // of linux/sock_diag.h, SK_MEMINFO_VARS
	size := uint32(unsafe.Sizeof(info))
	_, _, errno := syscall.RawSyscall6(syscall.SYS_GETSOCKOPT, uintptr(c.fd), unix.SOL_SOCKET, unix.SO_MEMINFO, uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0) //nolint:gosec // as unix.GetsockoptInt does
	if errno != 0 {
		return 0
	}
	return int64(info[unix.SK_MEMINFO_RMEM_ALLOC]) + int64(info[unix.SK_MEMINFO_WMEM_QUEUED])
}
