package conformance

import (
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bearerguard/bearerguard/sidecar/proxy"
)

// RFC 9112 section 9: connections last as long as both ends agree on, and requests on one are answered in order.

// paths is an app that answers with the path of each request and tells how many connections it got.
func paths(t testing.TB, extra string) (url string, conns *atomic.Int64) {
	t.Helper()
	conns = &atomic.Int64{}
	return rawApp(t, func(c *wire, _ int) {
		conns.Add(1)
		for {
			h := c.head()
			path := strings.Fields(h.line)[1]
			path += c.body(h)
			c.send(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%s\r\n%s", len(path), extra, path))
			if strings.Contains(extra, "close") {
				return
			}
		}
	}), conns
}

func get(path string, lines ...string) string {
	return "GET " + path + " HTTP/1.1\r\nHost: a\r\n" + strings.Join(lines, "") + "\r\n"
}

func TestConnectionsAreKept(t *testing.T) {
	t.Parallel()
	run(t, "requests one after the other share both connections", func(t testing.TB) {
		url, conns := paths(t, "")
		c := dial(t, guard(t, url))
		for i := range 5 {
			path := fmt.Sprintf("/open/%d", i)
			c.send(get(path))
			if h, body := c.answer(); body != path || h.get("Connection") == "close" {
				t.Fatalf("%d: %q %q", i, h.fields, body)
			}
		}
		if conns.Load() != 1 {
			t.Errorf("the app got %d connections", conns.Load())
		}
	})
	run(t, "no two clients share a connection to the app", func(t testing.TB) {
		url, conns := paths(t, "")
		addr := guard(t, url)
		for range 3 {
			c := dial(t, addr)
			c.send(get("/open/a"))
			c.answer()
			_ = c.Close()
		}
		if conns.Load() != 3 {
			t.Errorf("the app got %d connections", conns.Load())
		}
	})
	run(t, "the app's close is not the client's", func(t testing.TB) {
		url, conns := paths(t, "Connection: close\r\n")
		c := dial(t, guard(t, url))
		for i := range 3 {
			c.send(get("/open/a"))
			if h, body := c.answer(); body != "/open/a" || h.has("Connection") {
				t.Fatalf("%d: %q %q", i, h.fields, body)
			}
		}
		if conns.Load() != 3 {
			t.Errorf("the app got %d connections", conns.Load())
		}
	})
	run(t, "the client's close is not the app's", func(t testing.TB) {
		heads := make(chan head, 1)
		c := dial(t, guard(t, seenBy(t, heads)))
		c.send(get("/open/a", "Connection: close\r\n"))
		h, body := c.answer()
		if !strings.EqualFold(h.get("Connection"), "close") || body != "ok" || c.rest() != "" {
			t.Errorf("got %q %q", h.fields, body)
		}
		if h := receive(t, heads); strings.EqualFold(h.get("Connection"), "close") {
			t.Error("the app was told to close")
		}
	})
	run(t, "an idle connection ends after its time, without a word", func(t testing.TB) {
		url, _ := paths(t, "")
		c := dial(t, guard(t, url, func(c *proxy.Config) { c.Limits.Idle = 50 * time.Millisecond }))
		c.send(get("/open/a"))
		c.answer()
		if got := c.rest(); got != "" {
			t.Errorf("got %q", got)
		}
	})
	run(t, "a connection that is never used ends, without a word", func(t testing.TB) {
		url, _ := paths(t, "")
		c := dial(t, guard(t, url, func(c *proxy.Config) { c.Limits.ReadHead = 50 * time.Millisecond }))
		if got := c.rest(); got != "" {
			t.Errorf("got %q", got)
		}
	})
}

func TestHTTP10(t *testing.T) {
	t.Parallel()
	const chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"
	const sized = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
	for name, tt := range map[string]struct{ send, answer string }{
		"a length":                           {"GET /open/a HTTP/1.0\r\nHost: a\r\n\r\n", sized},
		"chunks become the connection's end": {"GET /open/a HTTP/1.0\r\nHost: a\r\n\r\n", chunked},
		"so do they if it would be kept":     {"GET /open/a HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n", chunked},
		"close wins over keep-alive":         {"GET /open/a HTTP/1.0\r\nHost: a\r\nConnection: close, keep-alive\r\n\r\n", sized},
		"a body":                             {"POST /open/a HTTP/1.0\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", sized},
	} {
		run(t, "the connection ends: "+name, func(t testing.TB) {
			c := dial(t, guard(t, says(t, tt.answer)))
			c.send(tt.send)
			h := c.head()
			if got := c.rest(); h.status() != "200" || got != "hello" || h.has("Transfer-Encoding") || strings.EqualFold(h.get("Connection"), "keep-alive") {
				t.Errorf("got %s %q %q", h.line, h.fields, got)
			}
		})
	}
	run(t, "keep-alive is granted with a length", func(t testing.TB) {
		c := dial(t, guard(t, says(t, sized)))
		for range 3 {
			c.send("GET /open/a HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n")
			if h, body := c.answer(); body != "hello" || !strings.EqualFold(h.get("Connection"), "keep-alive") {
				t.Fatalf("got %q %q", h.fields, body)
			}
		}
	})
	run(t, "the app gets the proxy's version, and a host", func(t testing.TB) {
		h := forwarded(t, "GET /open/a HTTP/1.0\r\nHost: a\r\n\r\n")
		if h.line != "GET /open/a HTTP/1.1" || h.get("Host") != "a" {
			t.Errorf("got %s %q", h.line, h.fields)
		}
	})
	run(t, "an app of HTTP/1.0 that keeps its connection", func(t testing.TB) {
		c := dial(t, guard(t, says(t, "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello")))
		for range 3 {
			c.send(get("/open/a"))
			if h, body := c.answer(); body != "hello" || !strings.HasPrefix(h.line, "HTTP/1.1 200") {
				t.Fatalf("got %s %q", h.line, body)
			}
		}
	})
}

func TestPipelining(t *testing.T) {
	t.Parallel()
	post := func(path, body string) string {
		return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", path, len(body), body)
	}
	chunks := func(path, body string) string {
		return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\nX-Sum: 1\r\n\r\n", path, len(body), body)
	}
	inner := get("/open/inner")
	for name, tt := range map[string]struct {
		send string
		want []string
	}{
		"three requests":              {get("/open/1") + get("/open/2") + get("/open/3"), []string{"200 /open/1", "200 /open/2", "200 /open/3"}},
		"after a refusal":             {get("/orders/1") + get("/open/2"), []string{"401", "200 /open/2"}},
		"after a refusal with a body": {post("/orders/1", inner) + get("/open/2"), []string{"401", "200 /open/2"}},
		"after a refusal with chunks": {chunks("/orders/1", inner) + get("/open/2"), []string{"401", "200 /open/2"}},
		"bodies between":              {post("/open/1", "abc") + chunks("/open/2", "def") + get("/open/3"), []string{"200 /open/1abc", "200 /open/2def", "200 /open/3"}},
		"bodies that look like heads": {post("/open/1", inner) + chunks("/open/2", inner), []string{"200 /open/1" + inner, "200 /open/2" + inner}},
		"an empty line before a head": {"\r\n" + get("/open/1"), []string{"200 /open/1"}},
		"a bad head ends it":          {get("/open/1") + "GET /open/2 HTTP/1.1\r\nHost : a\r\n\r\n" + get("/open/3"), []string{"200 /open/1", "400"}},
		"close ends it":               {get("/open/1") + get("/open/2", "Connection: close\r\n") + get("/open/3"), []string{"200 /open/1", "200 /open/2"}},
		"HEAD between":                {get("/open/1") + "HEAD /open/2 HTTP/1.1\r\nHost: a\r\n\r\n" + get("/orders/3"), []string{"200 /open/1", "200 HEAD", "401"}},
	} {
		for how, pieces := range map[string]int{"at once": 1 << 20, "byte by byte": 1} {
			run(t, name+", "+how, func(t testing.TB) {
				url := rawApp(t, func(c *wire, _ int) {
					for {
						h := c.head()
						text := strings.Fields(h.line)[1] + c.body(h)
						c.send(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", len(text)))
						if !strings.HasPrefix(h.line, "HEAD") {
							c.send(text)
						}
					}
				})
				c := dial(t, guard(t, url))
				rest := tt.send
				for len(rest) > 0 {
					n := min(pieces, len(rest))
					if _, err := io.WriteString(c, rest[:n]); err != nil {
						break // the end came before the rest of what must not be answered
					}
					rest = rest[n:]
				}
				var got []string
				closes := false
				for _, want := range tt.want {
					h := c.head()
					text := h.status()
					switch {
					case strings.HasSuffix(want, "HEAD"):
						text += " HEAD"
					case text == "200":
						text += " " + c.body(h)
					default:
						c.body(h)
					}
					got = append(got, text)
					closes = strings.EqualFold(h.get("Connection"), "close")
				}
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Error(diff)
				}
				if strings.HasSuffix(name, "ends it") {
					if after := c.cut(); after != "" || !closes {
						t.Errorf("close: %v; then came %q", closes, after)
					}
				}
			})
		}
	}
}

// A client that has sent all it has to say may close its side (RFC 9112 section 9.6 speaks of the server's).
func TestHalfClosedClientsAreAnswered(t *testing.T) {
	t.Parallel()
	for name, send := range map[string]string{
		"a request":             get("/open/a"),
		"a body":                "POST /open/a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
		"a request and a close": get("/open/a", "Connection: close\r\n"),
	} {
		run(t, name, func(t testing.TB) {
			closed := make(chan struct{})
			url := rawApp(t, func(c *wire, _ int) {
				h := c.head()
				c.body(h)
				c.wait(closed)
				c.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
				c.cut()
			})
			c := dial(t, guard(t, url))
			c.send(send)
			_ = c.CloseWrite()
			close(closed)
			if h, body := c.answer(); h.status() != "200" || body != "ok" {
				t.Errorf("got %s %q", h.line, body)
			}
			if rest := c.rest(); rest != "" {
				t.Errorf("then %q", rest)
			}
		})
	}
}
