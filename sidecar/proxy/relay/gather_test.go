package relay

import (
	"bytes"
	"net/netip"
	"testing"

	"github.com/bearerguard/bearerguard/sidecar/proxy/head"
)

func TestGatheredBodiesAreBounded(t *testing.T) {
	t.Parallel()
	var g gathered
	fill := func(from string, n int) (taken int) {
		for g.take(netip.MustParseAddr(from), n) {
			taken++
		}
		return taken
	}
	clients := []string{"10.0.0.1", "::ffff:10.0.0.2", "2001:db8::1", "2001:db8:0:1::", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"}
	for _, from := range clients {
		if n := fill(from, largeBlock); n != maxGatheredOf/largeBlock {
			t.Errorf("%d bodies of %s at a time", n, from)
		}
	}
	for _, from := range []string{"10.0.0.1", "10.0.0.2", "2001:db8::2", "10.0.0.7"} {
		if fill(from, 1) != 0 {
			t.Errorf("one more of %s", from)
		}
	}
	g.give(netip.MustParseAddr("2001:db8::1"), largeBlock)
	if n := fill("10.0.0.1", 1); n != 0 {
		t.Errorf("another's room is used by a client that has all it may: %d", n)
	}
	small := fill("2001:db8::2", 1)
	if small != largeBlock/leastGathered {
		t.Errorf("%d small bodies in the place of a large one", small)
	}
	for range small {
		g.give(netip.MustParseAddr("2001:db8::2"), 1)
	}
	g.take(netip.MustParseAddr("2001:db8::1"), largeBlock)
	for _, from := range clients {
		for range maxGatheredOf / largeBlock {
			g.give(netip.MustParseAddr(from), largeBlock)
		}
	}
	if g.bytes != 0 || len(g.of) != 0 {
		t.Errorf("%d bytes are left, of %d clients", g.bytes, len(g.of))
	}
}

// FuzzDechunk wants a chunked body that comes in two pieces to be the same as one that comes at once.
func FuzzDechunk(f *testing.F) {
	f.Add([]byte("3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\nGET"), 4)
	f.Add([]byte("0\r\n\r\n"), 1)
	f.Add([]byte("1\r\nab"), 3)
	f.Fuzz(func(t *testing.T, wire []byte, cut int) {
		if len(wire) > largeBlock {
			return
		}
		at := min(max(cut, 0), len(wire))
		d := dechunk{data: make([]byte, largeBlock)}
		whole, err := d.take(wire[:at])
		if err == nil && !whole {
			whole, err = d.take(wire)
		}
		chunks := head.Chunks{DataOnly: true}
		data := bytes.Clone(wire)
		kept, used, wantErr := chunks.Take(data)
		if (err != nil) != (wantErr != nil) || err == nil && (whole != chunks.Ended() || d.kept != kept || d.used != used || !bytes.Equal(d.data[:d.kept], data[:kept])) {
			t.Errorf("%q at %d: %v %d %d %v; at once %v %d %d %v", wire, at, whole, d.kept, d.used, err, chunks.Ended(), kept, used, wantErr)
		}
	})
}
