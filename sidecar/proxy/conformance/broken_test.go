package conformance

import (
	"io"
	"testing"

	h2 "golang.org/x/net/http2"

	"github.com/bearerguard/bearerguard/sidecar/proxy"
)

// An app that resets its connection within an answer that ends with the connection has not ended it, whether the sidecar hears of that when it reads
// or when it writes.
func TestAnswersThatAResetBreaksOff(t *testing.T) {
	t.Parallel()
	h := &holder{path: "/orders/x", held: make(chan struct{}), let: make(chan struct{})}
	asked, breaks, broken := make(chan struct{}), make(chan struct{}), make(chan struct{})
	addr := guard(t, rawApp(t, func(c *wire, _ int) {
		defer close(broken)
		defer c.Close()
		c.until("abc")
		close(asked)
		c.wait(breaks)
		c.send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhalf")
		_ = c.SetLinger(0)
	}), func(c *proxy.Config) { c.Observer = h })
	c, f := asks(t, addr, "POST", false)
	_ = f.WriteData(1, false, []byte("abc"))
	c.wait(asked)
	answers(f, 3, true, ":method", "GET", ":scheme", "http", ":authority", "a", ":path", "/orders/x")
	c.wait(h.held)
	for range 2 { // so much that it is written at once
		_ = f.WriteData(1, false, make([]byte, 16<<10))
	}
	close(breaks)
	c.wait(broken)
	close(h.let)
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if frame.Header().StreamID != 1 {
			continue
		}
		switch frame := frame.(type) {
		case *h2.RSTStreamFrame:
			return
		case *h2.DataFrame:
			if frame.StreamEnded() {
				t.Fatal("a part of the answer passes for all of it")
			}
		}
	}
}

// A client whose request's body breaks off while it is answered does not get a part of that answer as if it were all: one that ends with its
// connection would look so (RFC 9112 section 6.3).
func TestAnswersThatEndWithTheRequestAreNotWhole(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ request, breaks string }{
		"a body that ends early":    {"POST /open/a HTTP/1.0\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc", ""},
		"a chunk that is none":      {"POST /open/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "no chunk\r\n"},
		"chunks that end too early": {"POST /open/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			over := make(chan struct{})
			addr := guard(t, rawApp(t, func(c *wire, _ int) {
				c.until("abc")
				c.send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhalf")
				c.wait(over)
			}))
			defer close(over)
			c := dial(t, addr)
			c.send(tt.request)
			if h := c.head(); h.status() != "200" {
				t.Fatal(h.line)
			}
			c.until("half")
			if c.send(tt.breaks); tt.breaks == "" {
				_ = c.CloseWrite()
			}
			if rest, err := io.ReadAll(c.in); err == nil {
				t.Errorf("the answer ends in an orderly way, in %q", rest)
			}
		})
	}
}
