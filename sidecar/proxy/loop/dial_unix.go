//go:build unix

package loop

import (
	"net"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Dial begins to connect to an address. Handler.Connected is called once it is known whether that works, which is never within
// Dial. What is written before goes out then.
func (l *Loop) Dial(to netip.AddrPort, h Handler) *Conn {
	c := &Conn{loop: l, handler: h, fd: -1, state: connecting, dialled: &to}
	fd, err := dial(to)
	if err == nil {
		c.fd = int32(fd) //nolint:gosec // it is one
		l.take(c)
		err = l.poll.add(fd, c.id)
	}
	if err != nil {
		c.later(func() {
			if c.state&unwanted != 0 {
				return
			}
			c.forget()
			h.Connected(c, opError("dial", to, err))
		})
	}
	return c
}

func dial(to netip.AddrPort) (fd int, err error) {
	family, address, err := sockaddr(to)
	if err != nil {
		return -1, err
	}
	if fd, err = socket(family); err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	if err = unix.Connect(fd, address); err != nil && err != unix.EINPROGRESS && err != unix.EINTR { //nolint:errorlint // an errno
		_ = unix.Close(fd)
		return -1, os.NewSyscallError("connect", err)
	}
	return fd, nil
}

// sockaddr is the address as the kernel wants it.
func sockaddr(to netip.AddrPort) (family int, a unix.Sockaddr, err error) {
	ip := to.Addr().Unmap()
	if ip.Is4() {
		return unix.AF_INET, &unix.SockaddrInet4{Port: int(to.Port()), Addr: ip.As4()}, nil
	}
	six := &unix.SockaddrInet6{Port: int(to.Port()), Addr: ip.As16()}
	if zone := ip.Zone(); zone != "" {
		i, err := net.InterfaceByName(zone)
		if err != nil {
			return 0, nil, err
		}
		six.ZoneId = uint32(i.Index) //nolint:gosec // it is one
	}
	return unix.AF_INET6, six, nil
}

// connected tells the handler what has become of Dial.
func (c *Conn) connected() {
	to := c.dialled
	c.state, c.dialled = c.state&^connecting, nil
	code, err := unix.GetsockoptInt(int(c.fd), unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && code != 0 {
		err = syscall.Errno(code)
	}
	if err != nil {
		c.forget()
		c.handler.Connected(c, opError("dial", *to, os.NewSyscallError("connect", err)))
		return
	}
	c.handler.Connected(c, nil)
}
