package conformance

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	h2 "golang.org/x/net/http2"

	"github.com/bearerguard/bearerguard/sidecar/proxy"
)

// An app that takes nothing of a body, as one that is stopped, is answered for as one that has it all and does not answer (--response-timeout).
func TestAppsThatTakeNothingAreAnsweredFor(t *testing.T) {
	t.Parallel()
	for name, stopped := range map[string]func(testing.TB, chan struct{}) string{
		"HTTP/1.1": func(t testing.TB, ended chan struct{}) string {
			return rawApp(t, func(c *wire, _ int) { c.head(); c.wait(ended) })
		},
		"HTTP/2": func(t testing.TB, ended chan struct{}) string {
			return h2cApp(t, func(c *wire, _ *h2.Framer, _ uint32) { c.wait(ended) })
		},
	} {
		for _, v := range []version{http1, http2} {
			if name == "HTTP/2" && v == http1 {
				continue
			}
			for framing, length := range map[string]int64{"a length": 1 << 40, "chunks": -1} {
				t.Run(name+" to "+string(v)+", "+framing, func(t *testing.T) {
					t.Parallel()
					ended := make(chan struct{})
					url := stopped(t, ended)
					t.Cleanup(func() { close(ended) })
					addr := guard(t, url, func(c *proxy.Config) {
						if c.Limits.Response = 300 * time.Millisecond; name == "HTTP/2" {
							c.AppProtocol = proxy.AppH2C
						}
					})
					r := request(t, "POST", "http://"+addr+"/open/a", halts(t, 12<<20))
					r.ContentLength = length
					if res, text := ask(t, client(t, v), r); res.StatusCode != 504 || !strings.Contains(text, "UpstreamTimeout") {
						t.Errorf("got %s %q", res.Status, text)
					}
				})
			}
		}
	}
}

// halts is a body of which so many bytes come and no end. They are more than kernels hold for an app and fewer than a connection
// whose answer is written still takes, so that a client that sends them gets to read its answer.
func halts(t testing.TB, n int64) io.Reader {
	r, w := io.Pipe()
	t.Cleanup(func() { _ = r.Close() })
	go func() { _, _ = io.CopyN(w, endless{}, n) }()
	return r
}

// An app that takes a body slowly has all the time it takes.
func TestAppsThatTakeLittleAreNotAnsweredFor(t *testing.T) {
	t.Parallel()
	const limit, size = 2 * time.Second, 32 << 20
	for name, change := range map[string]func(*proxy.Config){
		"HTTP/1.1": func(*proxy.Config) {},
		"HTTP/2":   func(c *proxy.Config) { c.AppProtocol = proxy.AppH2C },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := app(t, func(w http.ResponseWriter, r *http.Request) {
				for until := time.Now().Add(3 * limit); time.Now().Before(until); {
					_, _ = io.CopyN(io.Discard, r.Body, 64<<10)
					<-time.After(limit / 40)
				}
				n, err := io.Copy(io.Discard, r.Body)
				if err != nil || n == 0 {
					t.Errorf("the rest: %d bytes, %v", n, err)
				}
			})
			addr := guard(t, url, change, func(c *proxy.Config) { c.Limits.Response = limit })
			r := request(t, "POST", "http://"+addr+"/open/a", io.LimitReader(endless{}, size))
			if res, text := ask(t, client(t, http2), r); res.StatusCode != 200 {
				t.Errorf("got %s %q", res.Status, text)
			}
		})
	}
}
