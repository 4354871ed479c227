//go:build linux && !386 && !s390x && !loop_poll

package loop

import "golang.org/x/sys/unix"

// socket opens a TCP socket that does not block.
func socket(family int) (int, error) {
	return unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
}

// Taken returns how many bytes the peer has taken in all, and whether there are more that it has not, queued here or in the kernel: none if it has
// reset the connection.
func (c *Conn) Taken() (bytes uint64, more bool) {
	info, err := unix.GetsockoptTCPInfo(int(c.fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return 0, c.Queued() > 0 // it has ended
	}
	n, err := unix.IoctlGetInt(int(c.fd), unix.SIOCOUTQ)
	switch info.State {
	case unix.BPF_TCP_CLOSE:
		return info.Bytes_acked, false
	case unix.BPF_TCP_FIN_WAIT1, unix.BPF_TCP_CLOSING, unix.BPF_TCP_LAST_ACK:
		n-- // the end itself counts as a byte
	}
	return info.Bytes_acked, c.Queued() > 0 || err == nil && n > 0
}

// owed is how many bytes the kernel has that the peer has yet to take.
func (c *Conn) owed() int {
	n, _ := unix.IoctlGetInt(int(c.fd), unix.SIOCOUTQ)
	return n
}

// accepts reports whether the kernel has room for more that the peer has yet to take: a third of what it holds at most (tcp(7)). If not, the poller
// tells of it as of a write that did not go out.
func (c *Conn) accepts() bool {
	p := [1]unix.PollFd{{Fd: c.fd, Events: unix.POLLOUT}}
	_, err := unix.Poll(p[:], 0)
	return err != nil || p[0].Revents != 0 // what is wrong, the next write finds
}
