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
	// Place is how many of them one address has at most; see Place.
	Place int
}

// Limit returns a listener that closes connections of lis beyond the limits as they come. Where there is no room left, a connection of the address that
// has most makes way for one of another, so that no few addresses keep out all others. The connections are safe for concurrent use as those of
// lis are.
func Limit(lis net.Listener, l Limits) net.Listener {
	return &bounded{Listener: lis, limits: l, of: map[netip.Prefix]map[*counted]struct{}{}}
}

// Place is what a peer's address and port, as net.Conn.RemoteAddr has them, count as: an IPv6 host has a /64. It is invalid if they cannot be read.
func Place(remote string) netip.Prefix {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		return netip.Prefix{}
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Prefix{}
	}
	a = a.Unmap().WithZone("")
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits)
	return p
}

// bounded is what Limit returns.
type bounded struct {
	net.Listener
	limits Limits

	mu  sync.Mutex
	of  map[netip.Prefix]map[*counted]struct{} // guarded by mu
	all int                                    // guarded by mu
}

// Accept returns the next connection that there is room for.
func (b *bounded) Accept() (net.Conn, error) {
	for {
		c, err := b.Listener.Accept()
		if err != nil {
			return nil, err
		}
		x := &counted{Conn: c, in: b, from: Place(c.RemoteAddr().String())}
		victim, ok := b.enter(x)
		if victim != nil {
			_ = victim.Close()
		}
		if ok {
			return x, nil
		}
		_ = c.Close()
	}
}

// enter reports whether there is room for a connection, and returns one that is to be closed for it; nil: there is none.
func (b *bounded) enter(c *counted) (victim *counted, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.of[c.from]) >= b.limits.Place {
		return nil, false
	}
	if b.all >= b.limits.All {
		if victim = b.most(len(b.of[c.from]) + 1); victim == nil {
			return nil, false
		}
		b.drop(victim)
	}
	if b.of[c.from] == nil {
		b.of[c.from] = map[*counted]struct{}{}
	}
	b.of[c.from][c] = struct{}{}
	b.all++
	return victim, true
}

// most returns a connection of the address that has most; nil: that has no more than some. It is called with mu held.
func (b *bounded) most(some int) (victim *counted) {
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
func (b *bounded) drop(c *counted) {
	conns := b.of[c.from]
	if _, ok := conns[c]; !ok {
		return
	}
	b.all--
	if delete(conns, c); len(conns) == 0 {
		delete(b.of, c.from)
	}
}

// counted is a connection that gives its place back.
type counted struct {
	net.Conn
	in   *bounded
	from netip.Prefix
}

// Close closes the connection.
func (c *counted) Close() error {
	c.in.mu.Lock()
	c.in.drop(c)
	c.in.mu.Unlock()
	return c.Conn.Close()
}
