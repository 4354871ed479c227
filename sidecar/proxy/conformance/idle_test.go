package conformance

import (
	"testing"

	"github.com/bearerguard/bearerguard/sidecar/proxy"
	"github.com/bearerguard/bearerguard/sidecar/telemetry"
)

// holder holds the loop that a request of a path is settled on.
type holder struct {
	path      string
	held, let chan struct{}
}

// Request implements telemetry.Observer.
func (h *holder) Request(r *telemetry.Record) {
	if r.Path == h.path {
		close(h.held)
		<-h.let
	}
}

// Connection implements telemetry.Observer.
func (*holder) Connection(int) {}

// An app may end an idle connection at any time, with a word or without. A request that was given to it at that moment, of which it has got nothing, goes out
// on another connection, whatever its method (RFC 9112 section 9.3.1 is about those that may have arrived).
func TestRequestsToAnAppThatEndsAnIdleConnection(t *testing.T) {
	t.Parallel()
	for name, says := range map[string]string{
		"without a word": "",
		"with a word":    "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
	} {
		for framing, body := range map[string]string{
			"a length": "Content-Length: 3\r\n\r\nabc",
			"chunks":   "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
			"none":     "Content-Length: 0\r\n\r\n",
		} {
			t.Run(name+", "+framing, func(t *testing.T) {
				t.Parallel()
				h := &holder{path: "/orders/x", held: make(chan struct{}), let: make(chan struct{})}
				ends, ended := make(chan struct{}), make(chan struct{})
				addr := guard(t, rawApp(t, func(c *wire, n int) {
					head := c.head()
					if n == 1 {
						defer close(ended)
						defer c.Close()
						c.send("HTTP/1.1 204 No Content\r\n\r\n")
						c.wait(ends)
						c.send(says)
						return
					}
					got := c.body(head)
					c.send("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n" + (got + "---")[:3])
				}), func(c *proxy.Config) { c.Observer = h })
				c := dial(t, addr)
				c.send("GET /open/a HTTP/1.1\r\nHost: a\r\n\r\n")
				if h := c.head(); h.status() != "204" {
					t.Fatal(h.line)
				}
				c.send("GET /orders/x HTTP/1.1\r\nHost: a\r\n\r\n")
				c.wait(h.held)
				c.send("POST /open/b HTTP/1.1\r\nHost: a\r\n" + body)
				close(ends)
				c.wait(ended)
				close(h.let)
				if h, _ := c.answer(); h.status() != "401" {
					t.Fatal(h.line)
				}
				want := "abc"
				if framing == "none" {
					want = "---"
				}
				if h, text := c.answer(); h.status() != "200" || text != want {
					t.Errorf("got %s %q", h.line, text)
				}
			})
		}
	}
}
