package loop

import "golang.org/x/sys/unix"

// socket opens a TCP socket that does not block.
func socket(family int) (int, error) {
	return unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
}

// Taken returns how many bytes the peer has taken in all, and whether there are more that it has not.
func (c *Conn) Taken() (bytes uint64, more bool) {
	info, err := unix.GetsockoptTCPInfo(int(c.fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return 0, false // a connection that has ended has nothing to say
	}
	n, err := unix.IoctlGetInt(int(c.fd), unix.SIOCOUTQ)
	return info.Bytes_acked, err == nil && n > 0
}
