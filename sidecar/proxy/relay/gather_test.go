package relay

import (
	"bytes"
	"testing"

	"github.com/bearerguard/bearerguard/sidecar/proxy/head"
)

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
