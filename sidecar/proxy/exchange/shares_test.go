package exchange

import (
	"net/netip"
	"testing"

	"github.com/bearerguard/bearerguard/sidecar/proxy/loop"
)

func TestGatheredBodiesAreBounded(t *testing.T) {
	t.Parallel()
	g := NewGathered()
	fill := func(from string, n int) (taken int) {
		for g.Take(netip.MustParseAddr(from), n) {
			taken++
		}
		return taken
	}
	clients := []string{"10.0.0.1", "::ffff:10.0.0.2", "2001:db8::1", "2001:db8:0:1::", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"}
	for _, from := range clients {
		if n := fill(from, loop.LargeBlock); n != maxGatheredOf/loop.LargeBlock {
			t.Errorf("%d bodies of %s at a time", n, from)
		}
	}
	for _, from := range []string{"10.0.0.1", "10.0.0.2", "2001:db8::2", "10.0.0.7"} {
		if fill(from, 1) != 0 {
			t.Errorf("one more of %s", from)
		}
	}
	g.Give(netip.MustParseAddr("2001:db8::1"), loop.LargeBlock)
	if n := fill("10.0.0.1", 1); n != 0 {
		t.Errorf("another's room is used by a client that has all it may: %d", n)
	}
	small := fill("2001:db8::2", 1)
	if small != loop.LargeBlock/leastGathered {
		t.Errorf("%d small bodies in the place of a large one", small)
	}
	for range small {
		g.Give(netip.MustParseAddr("2001:db8::2"), 1)
	}
	g.Take(netip.MustParseAddr("2001:db8::1"), loop.LargeBlock)
	for _, from := range clients {
		for range maxGatheredOf / loop.LargeBlock {
			g.Give(netip.MustParseAddr(from), loop.LargeBlock)
		}
	}
	if g.bytes != 0 || len(g.of) != 0 {
		t.Errorf("%d bytes are left, of %d clients", g.bytes, len(g.of))
	}
}
