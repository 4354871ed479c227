package relay

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// pair is a connection, both ends of it.
func pair(t *testing.T) (near, far net.Conn) {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var d net.Dialer
	if far, err = d.DialContext(t.Context(), "tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if near, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = near.Close(); _ = far.Close() })
	return near, far
}

// What had been read comes first, then all that comes, in whatever pieces it is asked for; and nothing is held once all has
// been taken.
func TestHTTP2ConnReadsAllInOrder(t *testing.T) {
	t.Parallel()
	for name, ends := range map[string]func() (near, far net.Conn){
		"TCP":            func() (net.Conn, net.Conn) { return pair(t) },
		"something else": net.Pipe,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			near, far := ends()
			want := make([]byte, 100_000)
			for i := range want {
				want[i] = byte(i % 251)
			}
			const before = smallBlock + 100
			c := NewHTTP2Conn(near, want[:before], 0)
			go func() { _, _ = far.Write(want[before:]) }()
			var got []byte
			for size := 1; len(got) < len(want); size = size*2%9001 + 1 {
				b := make([]byte, min(size, len(want)-len(got)))
				if _, err := io.ReadFull(c, b); err != nil {
					t.Fatal(err)
				}
				got = append(got, b...)
			}
			if !bytes.Equal(got, want) {
				t.Error("what is read differs from what was sent")
			}
			if c.in.buf.block != nil {
				t.Error("a buffer is held though it is empty")
			}
			_ = far.Close()
			if _, err := c.Read(make([]byte, 1)); err != io.EOF { //nolint:errorlint // io.Reader's contract
				t.Errorf("at the end: %v", err)
			}
		})
	}
}

// A Write fails once the peer takes nothing, and not as long as it takes something; and the owner may end it earlier.
func TestHTTP2ConnWaitsForAWhile(t *testing.T) {
	t.Parallel()
	near, far := pair(t)
	c := NewHTTP2Conn(near, nil, time.Second)
	piece := make([]byte, 1<<20)
	if n, err := c.Write(piece[:100]); n != 100 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	go func() {
		_, _ = io.CopyN(io.Discard, far, 8<<20)
	}()
	written := 100
	for range 1000 {
		n, err := c.Write(piece)
		if written += n; err == nil {
			continue
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) || written < 8<<20 {
			t.Fatalf("after %d bytes: %v", written, err)
		}
		return
	}
	t.Error("a peer that takes nothing is waited for")
}

func TestHTTP2ConnIsEndedByItsOwner(t *testing.T) {
	t.Parallel()
	near, _ := pair(t)
	c := NewHTTP2Conn(near, nil, time.Hour)
	ended := make(chan error)
	go func() {
		for {
			if _, err := c.Write(make([]byte, 1<<20)); err != nil {
				ended <- err
				return
			}
		}
	}()
	_ = c.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
	if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
}
