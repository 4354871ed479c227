package capture

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// originalDst is SO_ORIGINAL_DST and IP6T_SO_ORIGINAL_DST, which have the same number
// (linux/netfilter_ipv4.h, linux/netfilter_ipv6/ip6_tables.h).
const originalDst = 80

// OriginalDst returns the address that the client of a redirected connection had dialled. On a connection that was not
// redirected it is the connection's own local address, or an error where the kernel does not track connections.
// It needs no capability.
func OriginalDst(c *net.TCPConn) (netip.AddrPort, error) {
	local, ok := c.LocalAddr().(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}, fmt.Errorf("original destination: connection has no TCP address")
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("original destination: %w", err)
	}
	read := originalDst6
	if local.IP.To4() != nil { // also IPv4 on a socket that takes both
		read = originalDst4
	}
	var dst netip.AddrPort
	var sysErr error
	if err := raw.Control(func(fd uintptr) { dst, sysErr = read(int(fd)) }); err != nil {
		return netip.AddrPort{}, fmt.Errorf("original destination: %w", err)
	}
	if sysErr != nil {
		return netip.AddrPort{}, fmt.Errorf("original destination: %w", sysErr)
	}
	return dst, nil
}

// originalDst4 reads a struct sockaddr_in. x/sys has no getsockopt for one, but an ipv6_mreq is as long and longer.
func originalDst4(fd int) (netip.AddrPort, error) {
	m, err := unix.GetsockoptIPv6Mreq(fd, unix.IPPROTO_IP, originalDst)
	if err != nil {
		return netip.AddrPort{}, err
	}
	// sin_family [0:2], sin_port [2:4] and sin_addr [4:8], both in network byte order
	addr := netip.AddrFrom4([4]byte(m.Multiaddr[4:8]))
	return netip.AddrPortFrom(addr, binary.BigEndian.Uint16(m.Multiaddr[2:4])), nil
}

// originalDst6 reads a struct sockaddr_in6, which is the first field of an ip6_mtuinfo.
func originalDst6(fd int) (netip.AddrPort, error) {
	m, err := unix.GetsockoptIPv6MTUInfo(fd, unix.IPPROTO_IPV6, originalDst)
	if err != nil {
		return netip.AddrPort{}, err
	}
	var port [2]byte // network byte order in memory
	binary.NativeEndian.PutUint16(port[:], m.Addr.Port)
	return netip.AddrPortFrom(netip.AddrFrom16(m.Addr.Addr), binary.BigEndian.Uint16(port[:])), nil
}
