package proxy

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"
)

// pieces is a connection that delivers bytes in pieces and then ends.
type pieces struct {
	net.Conn
	data []byte
	step int
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.data) == 0 {
		return 0, io.EOF
	}
	n := copy(b, p.data[:min(p.step, len(p.data))])
	p.data = p.data[n:]
	return n, nil
}

func (p *pieces) SetReadDeadline(time.Time) error { return nil }

// However the network cuts a stream, and however the server reads, the same bytes are handed on: good heads and bodies
// unchanged, and nothing behind a bad one.
func FuzzStrictConn(f *testing.F) {
	f.Add([]byte("GET / HTTP/1.1\r\nHost: a\r\n\r\nPOST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET"), 1, 1)
	f.Add([]byte("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\nGET /\n"), 3, 2)
	f.Add([]byte(preface+"anything\x00"), 5, 7)
	f.Add([]byte("\r\n\r\nGET"), 2, 1)
	f.Fuzz(func(t *testing.T, data []byte, step, size int) {
		read := func(step, size int) ([]byte, bool) {
			c := (&Proxy{limits: Limits{}.withDefaults()}).strict(&pieces{data: bytes.Clone(data), step: max(1, step)}, connInfo{}, nil).(*strictConn)
			var out []byte
			p := make([]byte, min(max(1, size), 1<<16))
			for {
				n, err := c.Read(p)
				out = append(out, p[:n]...)
				if err != nil {
					return out, c.refusal.Load() != nil
				}
			}
		}
		whole, refused := read(len(data), 1<<16)
		cut, cutRefused := read(step, size)
		if refused != cutRefused || !bytes.HasPrefix(whole, cut) && !bytes.HasPrefix(cut, whole) {
			t.Fatalf("at once %q (refused %v), in pieces %q (refused %v)", whole, refused, cut, cutRefused)
		}
		if refused && !bytes.HasSuffix(whole, []byte(refusedHead)) {
			t.Fatalf("something follows a refused head: %q", whole)
		}
	})
}
