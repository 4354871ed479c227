package conformance

import (
	"io"
	"testing"
)

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
