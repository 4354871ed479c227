package exposure

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"net/netip"
	"strconv"
)

// listening is the state of a socket that listens, as the kernel writes it (TCP_LISTEN, include/net/tcp_states.h).
const listening = "0A"

// mostOthers is how many lines of other states there may be in a row before no more is read. Kernels that mix them, as gVisor does, have short tables.
const mostOthers = 1000

// Parse returns the addresses on which sockets listen, out of the text of /proc/net/tcp or /proc/net/tcp6. Lines that are not
// understood are passed over. Sockets that listen come first (Documentation/networking/proc_net_tcp.rst), and then there is a line for each
// connection, of which few are looked at.
func Parse(r io.Reader) ([]netip.AddrPort, error) {
	var out []netip.AddrPort
	lines := bufio.NewScanner(r)
	for others := 0; others < mostOthers && lines.Scan(); others++ {
		local, state := columns(lines.Bytes())
		if string(state) != listening {
			continue
		}
		others = 0
		if a, ok := address(string(local)); ok {
			out = append(out, a)
		}
	}
	return out, lines.Err()
}

// columns returns the second and the fourth column of a line: the local address, and the state.
func columns(line []byte) (local, state []byte) {
	for i := range 4 {
		line = bytes.TrimLeft(line, " ")
		var word []byte
		word, line, _ = bytes.Cut(line, []byte{' '})
		switch i {
		case 1:
			local = word
		case 3:
			state = word
		}
	}
	return local, state
}

// address reads "0100007F:1F90": the address as 32-bit numbers of the machine's own byte order, and the port.
func address(s string) (netip.AddrPort, bool) {
	var raw [16]byte
	size := len(s) - 5
	if size != 8 && size != 32 || s[size] != ':' {
		return netip.AddrPort{}, false
	}
	for i := 0; i < size; i += 8 {
		word, err := strconv.ParseUint(s[i:i+8], 16, 32)
		if err != nil {
			return netip.AddrPort{}, false
		}
		binary.NativeEndian.PutUint32(raw[i/2:], uint32(word))
	}
	port, err := strconv.ParseUint(s[size+1:], 16, 16)
	if err != nil || port == 0 {
		return netip.AddrPort{}, false
	}
	a := netip.AddrFrom16(raw).Unmap()
	if size == 8 {
		a = netip.AddrFrom4([4]byte(raw[:4]))
	}
	return netip.AddrPortFrom(a, uint16(port)), true
}
