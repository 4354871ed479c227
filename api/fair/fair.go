// Package fair bounds the connections that a port has, so that who opens many keeps out neither others nor those who look after the program.
package fair

import (
	"net"
	"net/netip"
	"sync"
)

// Limits are how many connections there may be.
type Limits struct {
	// All is how many there are at most.
	All int
	// Place is how many of them one address has at most.
	Place int
	// Of says what counts as an address, by net.Conn.RemoteAddr: Host, or Place. Default: Host.
	Of func(remote string) netip.Prefix
}

// Limit returns a listener that closes connections of lis beyond the limits as they come, and those that make way for others. The connections are
// safe for concurrent use as those of lis are.
func Limit(lis net.Listener, l Limits) net.Listener {
	if l.Of == nil {
		l.Of = Host
	}
	return &bounded{lis, NewBound(l)}
}

// Host is the address of a peer, of its address and port as net.Conn.RemoteAddr has them. It is for networks that give a host its addresses, as that of
// pods does, where a /64 of IPv6 may be all pods of a node. It is invalid if the address cannot be read.
func Host(remote string) netip.Prefix {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		return netip.Prefix{}
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Prefix{}
	}
	a = a.Unmap().WithZone("")
	return netip.PrefixFrom(a, a.BitLen())
}

// Place is Host for networks where a host chooses its address, as on the Internet: an IPv6 host has a /64.
func Place(remote string) netip.Prefix {
	p := Host(remote)
	if p.Addr().Is6() {
		p, _ = p.Addr().Prefix(64)
	}
	return p
}

// Bound counts connections. Where there is no room left, one of the address that has most makes way for one of another, so that no few addresses
// keep out all others. It is safe for concurrent use.
type Bound struct {
	limits Limits

	mu  sync.Mutex
	of  map[netip.Prefix]map[*held]struct{} // guarded by mu
	all int                                 // guarded by mu
}

// held is the place of a connection.
type held struct {
	from netip.Prefix
	end  func()
}

// NewBound returns a Bound without connections.
func NewBound(l Limits) *Bound { return &Bound{limits: l, of: map[netip.Prefix]map[*held]struct{}{}} }

// Enter takes a place for a connection of an address, which has it until leave is called, or until it makes way: then end is called, in the goroutine
// of who has come. ok is false if there is no place. More than one call of leave does no harm, nor does one after end.
func (b *Bound) Enter(from netip.Prefix, end func()) (leave func(), ok bool) {
	h := &held{from, end}
	victim, ok := b.enter(h)
	if victim != nil {
		victim.end()
	}
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.drop(h)
	}, ok
}

// enter reports whether there is room, and returns who is to make way; nil: nobody.
func (b *Bound) enter(h *held) (victim *held, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.of[h.from]) >= b.limits.Place {
		return nil, false
	}
	if b.all >= b.limits.All {
		if victim = b.most(len(b.of[h.from]) + 1); victim == nil {
			return nil, false
		}
		b.drop(victim)
	}
	if b.of[h.from] == nil {
		b.of[h.from] = map[*held]struct{}{}
	}
	b.of[h.from][h] = struct{}{}
	b.all++
	return victim, true
}

// most returns a connection of the address that has most; nil: that has no more than some. It is called with mu held.
func (b *Bound) most(some int) (victim *held) {
	for _, conns := range b.of {
		if len(conns) <= some {
			continue
		}
		some = len(conns)
		for victim = range conns {
			break
		}
	}
	return victim
}

// drop is called with mu held.
func (b *Bound) drop(h *held) {
	conns := b.of[h.from]
	if _, ok := conns[h]; !ok {
		return
	}
	b.all--
	if delete(conns, h); len(conns) == 0 {
		delete(b.of, h.from)
	}
}

// bounded is what Limit returns.
type bounded struct {
	net.Listener
	bound *Bound
}

// Accept returns the next connection that there is room for.
func (b *bounded) Accept() (net.Conn, error) {
	for {
		c, err := b.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if leave, ok := b.bound.Enter(b.bound.limits.Of(c.RemoteAddr().String()), func() { _ = c.Close() }); ok {
			return &counted{c, leave}, nil
		}
		_ = c.Close()
	}
}

// counted is a connection that gives its place back.
type counted struct {
	net.Conn
	leave func()
}

// Close closes the connection.
func (c *counted) Close() error {
	c.leave()
	return c.Conn.Close()
}
