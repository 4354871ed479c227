package fetch

import (
	"fmt"
	"net/netip"
)

// AddressError says that a connection was refused because of the address that a name resolved to.
type AddressError struct {
	// Addr is the address that was refused.
	Addr netip.Addr
	// Kind is what makes it unfit: "loopback", "link-local", "metadata service" and so on.
	Kind string
}

// Error names the address and what it is.
func (e *AddressError) Error() string {
	return fmt.Sprintf("address %s is refused: %s; the operator can allow its network", e.Addr, e.Kind)
}

// special is a network that key sets are not fetched from.
type special struct {
	net  netip.Prefix
	kind string
}

// specials are the networks that mean this machine, this link, the cloud's metadata service or nobody. Private networks
// are not among them: identity providers live there.
func specials() []special {
	list := []struct{ net, kind string }{
		{"0.0.0.0/8", "unspecified"},
		{"127.0.0.0/8", "loopback"},
		{"169.254.0.0/16", "link-local"},
		{"100.100.100.200/32", "metadata service"},
		{"168.63.129.16/32", "metadata service"},
		{"192.0.0.0/24", "reserved"},
		{"224.0.0.0/4", "multicast"},
		{"240.0.0.0/4", "reserved"},
		{"::/128", "unspecified"},
		{"::1/128", "loopback"},
		{"fe80::/10", "link-local"},
		{"fec0::/10", "site-local"},
		{"ff00::/8", "multicast"},
		{"fd00:ec2::/32", "metadata service"},
		{"fd20:ce::254/128", "metadata service"},
		{"64:ff9b:1::/48", "translated"},
		{"2001::/32", "tunnelled"},
		{"::ffff:0:0:0/96", "translated"},
	}
	out := make([]special, 0, len(list))
	for _, s := range list {
		out = append(out, special{net: netip.MustParsePrefix(s.net), kind: s.kind})
	}
	return out
}

// guard decides which addresses may be connected to. It is immutable.
type guard struct {
	allow    []netip.Prefix
	specials []special
}

func newGuard(allow []netip.Prefix) guard {
	return guard{allow: allow, specials: specials()}
}

// check returns an *AddressError unless a connection to addr is fine. An address that carries an IPv4 address inside is
// judged by that one as well.
func (g guard) check(addr netip.Addr) error {
	addr = addr.WithZone("").Unmap()
	if !addr.IsValid() {
		return &AddressError{Addr: addr, Kind: "not an IP address"}
	}
	inner, carries := embedded(addr)
	if g.allowed(addr) || carries && g.allowed(inner) {
		return nil
	}
	kind := g.kind(addr)
	if kind == "" && carries {
		kind = g.kind(inner)
	}
	if kind != "" {
		return &AddressError{Addr: addr, Kind: kind}
	}
	return nil
}

func (g guard) allowed(addr netip.Addr) bool {
	for _, p := range g.allow {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

func (g guard) kind(addr netip.Addr) string {
	for _, s := range g.specials {
		if s.net.Contains(addr) {
			return s.kind
		}
	}
	return ""
}

// embedded returns the IPv4 address inside an IPv6 one: NAT64 (RFC 6052), 6to4 (RFC 3056), IPv4-compatible (RFC 4291).
func embedded(addr netip.Addr) (netip.Addr, bool) {
	if !addr.Is6() {
		return netip.Addr{}, false
	}
	b := addr.As16()
	last := netip.AddrFrom4([4]byte(b[12:16]))
	switch {
	case netip.PrefixFrom(netip.AddrFrom16([16]byte{0, 0x64, 0xff, 0x9b}), 96).Contains(addr):
		return last, true
	case b[0] == 0x20 && b[1] == 0x02:
		return netip.AddrFrom4([4]byte(b[2:6])), true
	case [12]byte(b[:12]) == [12]byte{}:
		return last, true
	}
	return netip.Addr{}, false
}
