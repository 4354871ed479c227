package conformance

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// An answer that ends the app's connection is passed on before the memory that it came in is anybody else's: what is written to the client
// must not come to lie over what is read.
func TestLastAnswersThatComeInPieces(t *testing.T) {
	t.Parallel()
	var fields strings.Builder
	var want []string
	for i := range 150 { // they get longer on the way: the app leaves the space out
		fmt.Fprintf(&fields, "x%d:%d\r\n", i, i)
		want = append(want, fmt.Sprintf("x%d: %d", i, i))
	}
	for name, start := range map[string]string{
		"a head":            "HTTP/1.1 204 No Content\r\nConnection: close\r\n",
		"a trailer section": "HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr := guard(t, rawApp(t, func(c *wire, _ int) {
				c.head()
				c.send(start + fields.String()[:1100])
				_ = c.SetReadDeadline(time.Now().Add(100 * time.Millisecond)) // the proxy is to read it meanwhile
				if _, err := c.in.ReadByte(); !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("in the middle of the answer: %v", err)
				}
				c.send(fields.String()[1100:] + "\r\n")
			}))
			c := dial(t, addr)
			c.send("GET /open/a HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE\r\n\r\n")
			got := c.head().fields
			if strings.Contains(start, "chunked") {
				_, got = c.chunks()
			}
			got = slices.DeleteFunc(got, func(line string) bool { return !strings.HasPrefix(line, "x") })
			if !slices.Equal(got, want) {
				t.Errorf("%d fields arrive, of %d: %q", len(got), len(want), got)
			}
		})
	}
}

// What a client sends behind its last request costs it nothing of the answer, which the kernel would drop if the connection were closed with
// that unread (RFC 9112 section 9.6).
func TestLastAnswersArriveWhateverFollowsOnTheRequest(t *testing.T) {
	t.Parallel()
	body := pattern(3 << 20)
	url := says(t, fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body))
	for name, more := range map[string]string{"an empty line": "\r\n", "a request": "GET /open/b HTTP/1.1\r\nHost: a\r\n\r\n"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := dial(t, guard(t, url))
			_ = c.SetReadBuffer(64 << 10)
			c.send("GET /open/a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
			h := c.head()
			c.send(more)
			if got := c.body(h); got != body {
				t.Errorf("%d bytes arrive, of %d", len(got), len(body))
			}
			if rest := c.rest(); rest != "" {
				t.Errorf("%q behind the answer", rest)
			}
		})
	}
}

// TestLastAnswersArriveWhereTheClientHasEndedItsSide has a client end its side behind more than the request, before the app answers.
func TestLastAnswersArriveWhereTheClientHasEndedItsSide(t *testing.T) {
	t.Parallel()
	body := pattern(3 << 20)
	asked, answer := make(chan struct{}), make(chan struct{})
	c := dial(t, guard(t, rawApp(t, func(c *wire, _ int) {
		c.head()
		close(asked)
		<-answer
		c.send(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body))
		c.rest()
	})))
	_ = c.SetReadBuffer(64 << 10)
	c.send("GET /open/a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	<-asked
	c.send("\r\n")
	_ = c.CloseWrite()
	close(answer)
	if got := c.body(c.head()); got != body {
		t.Errorf("%d bytes arrive, of %d", len(got), len(body))
	}
}
