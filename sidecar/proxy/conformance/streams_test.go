package conformance

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	h2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

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

// TestCallsThatWaitForAConnectionThatFailsHaveAnotherOne has an app of HTTP/2 close its first connection before it has said how many calls it
// takes. The call that it was sent is lost; nothing of the others was sent.
func TestCallsThatWaitForAConnectionThatFailsHaveAnotherOne(t *testing.T) {
	t.Parallel()
	overH2C(t, "closes", func(t testing.TB) {
		const last = 7
		asked, sent := make(chan struct{}), make(chan uint32, 1)
		addr := guard(t, rawApp(t, func(c *wire, n int) {
			c.bytes(len(h2.ClientPreface))
			f := h2.NewFramer(c, c.in)
			if n == 1 {
				c.wait(asked)
				_ = c.CloseWrite()
			} else {
				_ = f.WriteSettings()
			}
			heads := uint32(0)
			for {
				frame, err := f.ReadFrame()
				if err != nil {
					break
				}
				switch frame := frame.(type) {
				case *h2.HeadersFrame:
					heads++
				case *h2.DataFrame:
					if n > 1 && frame.StreamEnded() {
						answers(f, frame.StreamID, true, ":status", "204")
					}
				}
			}
			if n == 1 {
				sent <- heads
			}
		}))
		_, f := asks(t, addr, "POST", false)
		for id := uint32(3); id <= last; id += 2 {
			answers(f, id, false, ":method", "POST", ":scheme", "http", ":authority", "a", ":path", "/open/a")
		}
		for id := uint32(1); id <= last; id += 2 {
			_ = f.WriteData(id, true, []byte("abc"))
		}
		untilPing(f)
		close(asked)
		lost := 2*receive(t, sent) - 1 // one, but where this machine was slow, so that the others do not wait any more
		f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
		for got := map[uint32]string{}; len(got) < (last+1)/2; {
			frame, err := f.ReadFrame()
			if err != nil {
				t.Fatalf("after %v: %v", got, err)
			}
			if head, ok := frame.(*h2.MetaHeadersFrame); ok {
				id, want := head.StreamID, "204"
				if id <= lost {
					want = "502"
				}
				if got[id] = head.PseudoValue("status"); got[id] != want {
					t.Errorf("call %d is answered %s, want %s", id, got[id], want)
				}
			}
		}
	})
}

// TestCallsThatWaitForConnectionsThatFailDoNotWaitForEver has all connections to the app fail.
func TestCallsThatWaitForConnectionsThatFailDoNotWaitForEver(t *testing.T) {
	t.Parallel()
	overH2C(t, "closes", func(t testing.TB) {
		addr := guard(t, rawApp(t, func(c *wire, _ int) { c.bytes(len(h2.ClientPreface)) }))
		post(t, client(t, http2), addr, 12, 502)
	})
}
