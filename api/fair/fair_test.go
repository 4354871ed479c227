package fair

import (
	"fmt"
	"net"
	"net/netip"
	"testing"
)

// A few addresses that hold all connections make way for another.
func TestConnectionsLeaveRoomToOtherAddresses(t *testing.T) {
	t.Parallel()
	l := Limits{All: 512, Place: 128}
	b, _ := Limit(nil, l).(*bounded)
	stranger := func(i int) netip.Prefix { return Place(fmt.Sprintf("10.0.%d.%d:1", i>>8, i&255)) }
	come := func(p netip.Prefix) (*counted, *counted, bool) {
		a, _ := net.Pipe()
		c := &counted{Conn: a, in: b, from: p}
		victim, ok := b.enter(c)
		return c, victim, ok
	}
	for i := range l.All / l.Place {
		for range l.Place {
			if _, victim, ok := come(stranger(i)); !ok || victim != nil {
				t.Fatal("a connection is refused, or takes the place of another, though there is room")
			}
		}
	}
	if _, _, ok := come(stranger(0)); ok {
		t.Error("an address has more than its part")
	}
	honest := Place("192.0.2.1:1")
	for i := range 50 {
		_, victim, ok := come(honest)
		if !ok || victim == nil || victim.from == honest {
			t.Fatalf("connection %d of another address: %v, for %+v", i, ok, victim)
		}
		_ = victim.Close() // as Accept does; its place has been given back already
	}
	if b.all != l.All {
		t.Errorf("%d connections are counted", b.all)
	}
	for i := range 2 * l.All { // as many addresses as places, and more
		come(Place(fmt.Sprintf("172.16.%d.%d:1", i>>8, i&255)))
	}
	if n := len(b.of[honest]); b.all != l.All || n == 0 {
		t.Errorf("%d connections are counted, %d of them the other address's", b.all, n)
	}
}
