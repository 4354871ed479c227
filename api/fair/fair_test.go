package fair

import (
	"fmt"
	"net/netip"
	"testing"
)

// A few addresses that hold all connections make way for another.
func TestConnectionsLeaveRoomToOtherAddresses(t *testing.T) {
	t.Parallel()
	l := Limits{All: 512, Place: 128}
	b := NewBound(l)
	stranger := func(i int) netip.Prefix { return Place(fmt.Sprintf("10.0.%d.%d:1", i>>8, i&255)) }
	var ended netip.Prefix
	come := func(p netip.Prefix) (leave func(), ok bool) {
		ended = netip.Prefix{}
		return b.Enter(p, func() { ended = p })
	}
	for i := range l.All / l.Place {
		for range l.Place {
			if _, ok := come(stranger(i)); !ok || ended.IsValid() {
				t.Fatal("a connection is refused, or takes the place of another, though there is room")
			}
		}
	}
	if _, ok := come(stranger(0)); ok {
		t.Error("an address has more than its part")
	}
	honest := Place("192.0.2.1:1")
	for i := range 50 {
		if _, ok := come(honest); !ok || !ended.IsValid() || ended == honest {
			t.Fatalf("connection %d of another address: %v, for one of %s", i, ok, ended)
		}
	}
	for i := range 2 * l.All { // as many addresses as places, and more
		come(Place(fmt.Sprintf("172.16.%d.%d:1", i>>8, i&255)))
	}
	if n := len(b.of[honest]); b.all != l.All || n == 0 {
		t.Errorf("%d connections are counted, %d of them the other address's", b.all, n)
	}
}

// A place is given back once, whoever gives it back.
func TestPlacesAreGivenBackOnce(t *testing.T) {
	t.Parallel()
	b := NewBound(Limits{All: 2, Place: 2})
	one, other := Place("192.0.2.1:1"), Place("192.0.2.2:1")
	var leaves []func()
	for range 2 {
		leave, _ := b.Enter(one, func() {})
		leaves = append(leaves, leave)
	}
	leave, ok := b.Enter(other, func() {}) // one makes way
	if !ok {
		t.Fatal("there is no place for another address")
	}
	for _, leave := range append(leaves, leaves...) {
		leave()
	}
	if b.all != 1 {
		t.Errorf("%d places are taken, want one", b.all)
	}
	leave()
	if b.all != 0 || len(b.of) != 0 {
		t.Errorf("%d places are taken by %d addresses, want none", b.all, len(b.of))
	}
}

func TestWhatCountsAsAnAddress(t *testing.T) {
	t.Parallel()
	for remote, want := range map[string]struct{ host, place string }{
		"192.0.2.1:80":              {"192.0.2.1/32", "192.0.2.1/32"},
		"[::ffff:192.0.2.1]:80":     {"192.0.2.1/32", "192.0.2.1/32"},
		"[2001:db8:0:1::7]:80":      {"2001:db8:0:1::7/128", "2001:db8:0:1::/64"},
		"[fe80::1%eth0]:80":         {"fe80::1/128", "fe80::/64"},
		"@":                         {"invalid Prefix", "invalid Prefix"},
		"name.example:80":           {"invalid Prefix", "invalid Prefix"},
		"[2001:db8:0:1:ffff::7]:80": {"2001:db8:0:1:ffff::7/128", "2001:db8:0:1::/64"},
	} {
		if host, place := Host(remote).String(), Place(remote).String(); host != want.host || place != want.place {
			t.Errorf("%s: got %s and %s, want %s and %s", remote, host, place, want.host, want.place)
		}
	}
}
