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
