package conformance

import (
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/sidecar/proxy"
)

// An app may take its time for a request whose client has held the body back: nobody bounds its answer but --response-timeout.
func TestSlowAnswerAfterContinue(t *testing.T) {
	t.Parallel()
	addr := guard(t, rawApp(t, func(c *wire, _ int) {
		h := c.head()
		c.send("HTTP/1.1 100 Continue\r\n\r\n")
		c.body(h)
		_ = c.SetReadDeadline(time.Now().Add(1500 * time.Millisecond)) // longer than the sidecar waits for the app's 100
		if _, err := c.in.ReadByte(); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("while the app takes its time: %v", err)
		}
		c.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow")
	}))
	c := dial(t, addr)
	c.send("POST /open/a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
	if h := c.head(); h.status() != "100" {
		t.Fatalf("got %s", h.status())
	}
	c.send("abc")
	if h, body := c.answer(); h.status() != "200" || body != "slow" {
		t.Errorf("got %s %q", h.status(), body)
	}
}

// A client that holds its body back is asked for it where the app does not ask, however large the body is and long the app may take.
func TestABodyThatIsHeldBackIsAskedFor(t *testing.T) {
	t.Parallel()
	for _, response := range []time.Duration{0, 20 * time.Second} {
		for _, length := range []int{1000, 200_000} {
			t.Run(fmt.Sprintf("%d bytes, %v for the answer", length, response), func(t *testing.T) {
				t.Parallel()
				c := dial(t, guard(t, rawApp(t, func(c *wire, _ int) {
					c.body(c.head())
					c.send("HTTP/1.1 204 No Content\r\n\r\n")
				}), func(c *proxy.Config) { c.Limits.Response = response }))
				c.send(fmt.Sprintf("POST /open/a HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", length))
				if h := c.head(); h.status() != "100" {
					t.Fatalf("got %s", h.status())
				}
				c.send(string(make([]byte, length)))
				if h := c.head(); h.status() != "204" {
					t.Errorf("got %s", h.status())
				}
			})
		}
	}
}
