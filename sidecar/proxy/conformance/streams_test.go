package conformance

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	h2 "golang.org/x/net/http2"

	"github.com/bearerguard/bearerguard/sidecar/proxy"
)

// An app of HTTP/2 says how many calls it takes on a connection. Those that come before it has said so are not lost: they have connections of
// their own, in the end.
func TestCallsBeyondWhatTheAppTakesHaveOtherConnections(t *testing.T) {
	t.Parallel()
	const calls = 12
	for name, most := range map[string]uint32{"one": 1, "five": 5} {
		overH2C(t, name, func(t testing.TB) {
			var taken, refused atomic.Int32
			all := make(chan struct{}) // closed when the app has seen all of them
			seen := sync.OnceFunc(func() { close(all) })
			saw := func(n *atomic.Int32) {
				if n.Add(1); taken.Load()+refused.Load() >= calls {
					seen()
				}
			}
			addr := guard(t, rawApp(t, func(c *wire, _ int) {
				c.bytes(len(h2.ClientPreface))
				f := h2.NewFramer(c, c.in)
				var mu sync.Mutex
				write := func(do func()) {
					mu.Lock()
					defer mu.Unlock()
					do()
				}
				write(func() { _ = f.WriteSettings(h2.Setting{ID: h2.SettingMaxConcurrentStreams, Val: most}) })
				open := uint32(0)
				for {
					frame, err := f.ReadFrame()
					if err != nil {
						return
					}
					head, ok := frame.(*h2.HeadersFrame)
					switch {
					case !ok:
					case open == most:
						write(func() { _ = f.WriteRSTStream(head.StreamID, h2.ErrCodeRefusedStream) })
						saw(&refused)
					default:
						open++
						stream := head.StreamID
						go func() {
							<-all
							write(func() { answers(f, stream, true, ":status", "204") })
						}()
						saw(&taken)
					}
				}
			}))
			c := client(t, http2)
			if res, _ := ask(t, c, request(t, "GET", "http://"+addr+"/none", nil)); res.StatusCode != 401 { // so that it is connected
				t.Fatal(res.Status)
			}
			post(t, c, addr, calls, 204)
		})
	}
}

// TestCallsDoNotWaitForEverToHearHowManyTheAppTakes has an app of HTTP/2 that hangs: the kernel accepts connections for it.
func TestCallsDoNotWaitForEverToHearHowManyTheAppTakes(t *testing.T) {
	t.Parallel()
	overH2C(t, "hangs", func(t testing.TB) {
		addr := guard(t, rawApp(t, func(c *wire, _ int) { c.rest() }), func(c *proxy.Config) { c.Limits.Response = 100 * time.Millisecond })
		c := client(t, http2)
		post(t, c, addr, 3, 504)
	})
}

// post makes n calls at once, each of which is to be answered by a status.
func post(t testing.TB, c *http.Client, addr string, n, status int) {
	t.Helper()
	var group sync.WaitGroup
	for range n {
		group.Go(func() {
			res, err := c.Do(request(t, "POST", "http://"+addr+"/open/a", strings.NewReader("abc")))
			if err != nil {
				t.Error(err)
				return
			}
			_ = res.Body.Close()
			if res.StatusCode != status {
				t.Errorf("got %s, want %d", res.Status, status)
			}
		})
	}
	group.Wait()
}
