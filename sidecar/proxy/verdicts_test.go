package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/sidecar/gate"
	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
	"github.com/bearerguard/bearerguard/sidecar/mcp"
)

// A body that turns out to be broken while the verdict on its beginning is waited for ends its own request alone: the verdict is nobody
// else's when it comes.
func TestAVerdictThatComesTooLateIsNobodyElses(t *testing.T) {
	t.Parallel()
	for what, end := range map[string]string{
		"a trailer that is none":   "0\r\nno trailer\r\n\r\n",
		"trailers that never end":  "0\r\nX: " + strings.Repeat("x", 20<<10),
		"the client is gone":       "",
		"a trailer, and is let in": "0\r\nX-T: end\r\n\r\n",
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Int32
			var once sync.Once
			judging, goOn := make(chan struct{}), make(chan struct{})
			letGo := sync.OnceFunc(func() { close(goOn) })
			defer letGo()
			g := gate.New(gate.Options{
				KeyWait:      time.Second,
				OnUnknownKey: func(string) (time.Duration, bool) { asked.Add(1); return 0, true },
				Now: func() time.Time { // is asked where a judgement comes later than its request
					once.Do(func() { close(judging); <-goOn })
					return time.Now()
				},
			})
			g.Swap(gatetest.Fetched(t, mcpServer(), corp))
			p := protect(t, repeat(t), func(c *Config) { c.Gate = g })
			first := dial(t, p.addr)
			const begin = 60 << 10
			body := strings.Repeat("x", mcp.MaxBody+1000)
			fmt.Fprintf(first, "POST /any HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nAuthorization: Bearer %s\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n",
				token(), begin, body[:begin])
			fmt.Fprintf(first, "%x\r\n%s\r\n%s", len(body)-begin, body[begin:], end)
			select {
			case <-judging:
			case <-time.After(patience):
				t.Fatal(p.observer.reasons())
			}
			if end == "" {
				_ = first.Close()
			}
			var others sync.WaitGroup
			for range 8 { // on all loops
				others.Go(func() {
					c := dial(t, p.addr)
					fmt.Fprintf(c, "POST /any HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\nContent-Length: 0\r\n\r\n", unknown())
					res, err := http.ReadResponse(bufio.NewReader(c), nil)
					if err != nil {
						t.Errorf("another client is not answered: %v", err)
						return
					}
					if text, _ := io.ReadAll(res.Body); res.StatusCode != http.StatusUnauthorized {
						t.Errorf("another client is answered %s, %q", res.Status, text)
					}
				})
			}
			until(t, "the others wait", patience, func() bool { return asked.Load() >= 8 })
			letGo()
			others.Wait()
			if !strings.HasPrefix(end, "0\r\nX-T") {
				return
			}
			res, err := http.ReadResponse(bufio.NewReader(first), nil)
			if err != nil {
				t.Fatal(err)
			}
			if text, _ := io.ReadAll(res.Body); string(text) != body || res.Header.Get("X-Trailer") != "end" {
				t.Errorf("%s, %d bytes, trailer %q", res.Status, len(text), res.Header.Get("X-Trailer"))
			}
		})
	}
}
