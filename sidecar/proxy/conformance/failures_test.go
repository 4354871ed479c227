package conformance

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/sidecar/proxy"
)

// RFC 9110 sections 15.6.3 and 15.6.5, RFC 9112 section 8: what the app did not say is never an answer of the app.

// nowhere is an address at which nobody listens.
func nowhere(t testing.TB) (url string) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	return "http://" + l.Addr().String()
}

func TestAppsThatDoNotAnswer(t *testing.T) {
	t.Parallel()
	const ok = "HTTP/1.1 200 OK\r\n"
	for name, tt := range map[string]struct {
		says   string
		status string
		reason string // one of these
	}{
		"closes without a word":          {"", "502", "UpstreamUnavailable"},
		"speaks something else":          {"SSH-2.0-OpenSSH\r\n\r\n", "502", "UpstreamMalformed"},
		"stops within the status line":   {"HTTP/1.1 20", "502", "UpstreamMalformed UpstreamUnavailable"},
		"stops within a field":           {ok + "X-A", "502", "UpstreamMalformed UpstreamUnavailable"},
		"stops before the head's end":    {ok + "X-A: b\r\n", "502", "UpstreamMalformed UpstreamUnavailable"},
		"a field without a colon":        {ok + "X A\r\n\r\n", "502", "UpstreamMalformed"},
		"a field without a name":         {ok + ": b\r\n\r\n", "502", "UpstreamMalformed"},
		"a control byte in a value":      {ok + "X-A: b\x00c\r\nContent-Length: 0\r\n\r\n", "502", "UpstreamMalformed"},
		"a line end in a value":          {ok + "X-A: b\rSet-Cookie: c\r\nContent-Length: 0\r\n\r\n", "502", "UpstreamMalformed"},
		"a status of two digits":         {"HTTP/1.1 20 OK\r\n\r\n", "502", "UpstreamMalformed"},
		"a status of four digits":        {"HTTP/1.1 2000 OK\r\n\r\n", "502", "UpstreamMalformed"},
		"a status below 100":             {"HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n", "502", "UpstreamMalformed"},
		"another version":                {"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n", "502", "UpstreamMalformed"},
		"a head too large":               {ok + "X-A: " + strings.Repeat("a", 600<<10) + "\r\n\r\n", "502", "UpstreamMalformed"},
		"a head of too many fields":      {ok + strings.Repeat("X-A: bbbbbbbbbbbb\r\n", 40_000) + "\r\n", "502", "UpstreamMalformed"},
		"a chunk without a size":         {ok + "Transfer-Encoding: chunked\r\n\r\nhello", "502", "UpstreamMalformed"},
		"a first chunk that is too long": {ok + "Transfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n0\r\n\r\n", "502", "UpstreamMalformed"},
		"a 1xx and no more":              {"HTTP/1.1 103 Early Hints\r\n\r\n", "502", "UpstreamMalformed UpstreamUnavailable"},
		"a 100 and no more":              {"HTTP/1.1 100 Continue\r\n\r\n", "502", "UpstreamMalformed UpstreamUnavailable"},
		"switches, though nobody asked":  {"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n", "502", "UpstreamMalformed"},
	} {
		run(t, name, func(t testing.TB) {
			c := dial(t, guard(t, rawApp(t, func(c *wire, _ int) {
				h := c.head()
				c.body(h)
				c.send(tt.says)
				_ = c.CloseWrite()
				c.cut()
			})))
			for _, send := range []string{get("/open/a"), "POST /open/a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"} {
				c.send(send)
				h, body := c.answer()
				for strings.HasPrefix(h.status(), "1") {
					h, body = c.answer()
				}
				problem(t, h, body, tt.status, tt.reason)
			}
		})
	}
	run(t, "does not listen", func(t testing.TB) {
		c := dial(t, guard(t, nowhere(t)))
		for range 2 { // the client's connection is not to blame
			c.send("POST /open/a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
			h, body := c.answer()
			problem(t, h, body, "502", "UpstreamUnavailable")
			if h.get("Connection") == "close" {
				break
			}
		}
	})
	run(t, "takes too long", func(t testing.TB) {
		c := dial(t, guard(t, rawApp(t, func(c *wire, _ int) { c.cut() }), func(c *proxy.Config) { c.Limits.Response = 100 * time.Millisecond }))
		for range 2 {
			c.send("POST /open/a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
			h, body := c.answer()
			problem(t, h, body, "504", "UpstreamTimeout")
		}
	})
	run(t, "stops within its head for too long", func(t testing.TB) {
		c := dial(t, guard(t, rawApp(t, func(c *wire, _ int) {
			c.head()
			c.send(ok + "X-A: b\r\n")
			c.cut()
		}), func(c *proxy.Config) { c.Limits.Response = 100 * time.Millisecond }))
		c.send(get("/open/a"))
		h, body := c.answer()
		problem(t, h, body, "504", "UpstreamTimeout")
	})
	run(t, "says 1xx for too long", func(t testing.TB) {
		c := dial(t, guard(t, rawApp(t, func(c *wire, _ int) {
			c.head()
			c.send("HTTP/1.1 103 Early Hints\r\n\r\n")
			c.cut()
		}), func(c *proxy.Config) { c.Limits.Response = 100 * time.Millisecond }))
		c.send(get("/open/a"))
		h, body := c.answer()
		for strings.HasPrefix(h.status(), "1") {
			h, body = c.answer()
		}
		problem(t, h, body, "504", "UpstreamTimeout")
	})
	run(t, "a chunk without a size, HTTP/2", func(t testing.TB) {
		addr := guard(t, says(t, ok+"Transfer-Encoding: chunked\r\n\r\nhello\r\n0\r\n\r\n"))
		res, body := ask(t, client(t, http2), request(t, "GET", "http://"+addr+"/open/a", nil))
		if res.StatusCode != 502 || !strings.Contains(body, `"reason":"UpstreamMalformed"`) {
			t.Errorf("%s %s", res.Status, body)
		}
	})
	run(t, "does not listen, HTTP/2", func(t testing.TB) {
		res, body := ask(t, client(t, http2), request(t, "POST", "http://"+guard(t, nowhere(t))+"/open/a", unsized("abc")))
		if res.StatusCode != 502 || !strings.Contains(body, `"reason":"UpstreamUnavailable"`) {
			t.Errorf("%s %s", res.Status, body)
		}
	})
	run(t, "takes too long, HTTP/2", func(t testing.TB) {
		slow := app(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		addr := guard(t, slow, func(c *proxy.Config) { c.Limits.Response = 100 * time.Millisecond })
		res, body := ask(t, client(t, http2), request(t, "GET", "http://"+addr+"/open/a", nil))
		if res.StatusCode != 504 || !strings.Contains(body, `"reason":"UpstreamTimeout"`) {
			t.Errorf("%s %s", res.Status, body)
		}
	})
}

// problem checks an answer of the proxy's own.
func problem(t testing.TB, h head, body, status, reasons string) {
	t.Helper()
	var p struct {
		Status int
		Reason string
	}
	err := json.Unmarshal([]byte(body), &p)
	if h.status() != status || fmt.Sprint(p.Status) != status || err != nil || p.Reason == "" || !strings.Contains(reasons, p.Reason) || h.get("Content-Type") != "application/problem+json" {
		t.Errorf("got %s %q %q (%v), want %s %s", h.line, h.fields, body, err, status, reasons)
	}
}

// An answer that breaks off is never a whole one to the client.
func TestAnswersThatBreakOff(t *testing.T) {
	t.Parallel()
	const ok = "HTTP/1.1 200 OK\r\n"
	for name, tt := range map[string]struct {
		says  string
		reset bool
	}{
		"within a length":             {ok + "Content-Length: 10\r\n\r\nhello", false},
		"at the start of a length":    {ok + "Content-Length: 10\r\n\r\n", false},
		"within a large length":       {ok + "Content-Length: 2097152\r\n\r\n" + pattern(1<<20), false},
		"within a large chunk":        {ok + "Transfer-Encoding: chunked\r\n\r\n200000\r\n" + pattern(1<<20), false},
		"within a chunk":              {ok + "Transfer-Encoding: chunked\r\n\r\n10\r\nhello", false},
		"between chunks":              {ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", false},
		"within a chunk's size":       {ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1", false},
		"before the last chunk's end": {ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n", false},
		"within a trailer":            {ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-A", false},
		"with a bad chunk size":       {ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n", false},
		"with a chunk too long":       {ok + "Transfer-Encoding: chunked\r\n\r\n4\r\nhello\r\n0\r\n\r\n", false},
		"with a chunk size too large": {ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nfffffffffffffffff\r\n", false},
		"by a reset":                  {ok + "\r\nhello", true},
		"by a reset within a length":  {ok + "Content-Length: 10\r\n\r\nhello", true},
	} {
		run(t, name, func(t testing.TB) { breaksOff(t, "GET /open/a HTTP/1.1\r\nHost: a\r\n\r\n", tt.says, tt.reset) })
	}
	// A client of HTTP/1.0 has no chunks: nothing but a reset can tell it (RFC 9112 section 8).
	run(t, "within a chunk, HTTP/1.0", func(t testing.TB) {
		breaksOff(t, "GET /open/a HTTP/1.0\r\nHost: a\r\n\r\n", ok+"Transfer-Encoding: chunked\r\n\r\n10\r\nhello", false)
	})
	run(t, "by a reset, HTTP/1.0", func(t testing.TB) {
		breaksOff(t, "GET /open/a HTTP/1.0\r\nHost: a\r\n\r\n", ok+"\r\nhello", true)
	})
	run(t, "where the client of HTTP/1.0 has closed its side, and nothing more comes for a while", func(t testing.TB) {
		c := dial(t, guard(t, rawApp(t, func(c *wire, _ int) {
			c.head()
			c.send(ok + "\r\nhello")
			c.rest() // the proxy gives up
		})))
		c.send("GET /open/a HTTP/1.0\r\nHost: a\r\n\r\n")
		_ = c.CloseWrite()
		c.until("hello")
		if b, err := io.ReadAll(c.in); err == nil {
			t.Errorf("reads as a whole answer, of hello%s", b)
		}
	})
	both(t, "an app that gives up", func(t testing.TB, v version) {
		addr := guard(t, app(t, func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "half")
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}))
		res, err := client(t, v).Do(request(t, "GET", "http://"+addr+"/open/a", nil))
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if b, err := io.ReadAll(res.Body); err == nil {
			t.Errorf("reads as a whole answer: %q", b)
		}
	})
}

// breaksOff checks that an answer that an app does not finish is not finished by the proxy.
func breaksOff(t testing.TB, send, says string, reset bool) {
	t.Helper()
	begun := make(chan struct{})
	c := dial(t, guard(t, rawApp(t, func(c *wire, _ int) {
		c.head()
		c.send(says)
		if reset {
			c.wait(begun) // a reset takes back what has not been read
			_ = c.SetLinger(0)
		}
	})))
	c.send(send)
	begin, _ := c.in.ReadString('\n')
	if strings.HasPrefix(begin, "HTTP/1.1 502") {
		return // nothing of the answer was passed on
	}
	if reset {
		begin += c.until("hello") + "hello"
		close(begun)
	}
	end, err := io.ReadAll(c.in)
	head, body, ok := strings.Cut(begin+string(end), "\r\n\r\n")
	if ok && whole(head, body, err) {
		t.Errorf("%q reads as a whole answer: %q", head, tail([]byte(body)))
	}
}

// whole says whether what came before the connection ended, with this error or none, is a whole answer to its reader
// (RFC 9112 section 8).
func whole(head, body string, err error) bool {
	lines := strings.Split(head, "\r\n")
	if length := valuesOf(lines, "Content-Length"); length != nil {
		return fmt.Sprint(len(body)) == length[0]
	}
	if valuesOf(lines, "Transfer-Encoding") != nil {
		return strings.HasSuffix(body, "0\r\n\r\n")
	}
	return err == nil
}

// Bytes that the app sends beyond its answer never answer another request.
func TestStrayBytesOfTheApp(t *testing.T) {
	t.Parallel()
	const stray = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstray"
	for name, answer := range map[string]string{
		"behind a length":       "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst",
		"behind the last chunk": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n0\r\n\r\n",
		"behind a 204":          "HTTP/1.1 204 No Content\r\n\r\n",
		"behind a 304":          "HTTP/1.1 304 Not Modified\r\n\r\n",
	} {
		run(t, name, func(t testing.TB) {
			c := dial(t, guard(t, rawApp(t, func(c *wire, n int) {
				c.head()
				c.send(answer + stray)
				c.cut()
			})))
			for range 3 {
				c.send(get("/open/a"))
				h, body := c.answer()
				if body == "stray" {
					t.Fatalf("a stray answer was taken for an answer: %s", h.line)
				}
			}
		})
	}
	for _, method := range []string{"GET", "POST"} {
		run(t, "later, before a "+method, func(t testing.TB) {
			answered, strayed := make(chan struct{}, 1), make(chan struct{}, 1)
			c := dial(t, guard(t, rawApp(t, func(c *wire, n int) {
				c.head()
				c.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst")
				if n == 1 {
					c.wait(answered)
					c.send(stray)
					strayed <- struct{}{}
				}
				c.cut()
			})))
			c.send(get("/open/a"))
			c.answer()
			answered <- struct{}{}
			receive(t, strayed)
			c.send(method + " /open/b HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
			if h, body := c.answer(); body == "stray" {
				t.Errorf("a stray answer was taken for an answer: %s", h.line)
			}
		})
	}
	run(t, "behind HEAD's answer", func(t testing.TB) {
		c := dial(t, guard(t, rawApp(t, func(c *wire, n int) {
			c.head()
			c.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstray")
			c.cut()
		})))
		for range 3 {
			c.send("HEAD /open/a HTTP/1.1\r\nHost: a\r\n\r\n")
			if h := c.head(); h.status() != "200" || h.get("Content-Length") != "5" {
				t.Fatalf("got %s %q", h.line, h.fields)
			}
		}
		if c.in.Buffered() > 0 {
			t.Error("more came than heads")
		}
	})
}

// RFC 9110 section 9.2.2, RFC 9112 section 9.5: a kept connection may end under a request, which is sent again only if
// that can do no harm.
func TestStaleConnections(t *testing.T) {
	t.Parallel()
	// dying serves one request on its first connection and ends it under the second.
	dying := func(t testing.TB, asked *atomic.Int64) string {
		return rawApp(t, func(c *wire, n int) {
			for i := 1; ; i++ {
				h := c.head()
				c.body(h)
				asked.Add(1)
				if n == 1 && i == 2 {
					return
				}
				c.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
			}
		})
	}
	for name, tt := range map[string]struct {
		send   string
		status string
		asked  int64
	}{
		"GET is sent again":               {get("/open/a"), "200", 3},
		"HEAD is sent again":              {"HEAD /open/a HTTP/1.1\r\nHost: a\r\n\r\n", "200", 3},
		"POST is not":                     {"POST /open/a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", "502", 2},
		"POST in chunks is not":           {"POST /open/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "502", 2},
		"POST without a body is not":      {"POST /open/a HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", "502", 2},
		"PUT is not":                      {"PUT /open/a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", "502", 2},
		"DELETE is not":                   {"DELETE /open/a HTTP/1.1\r\nHost: a\r\n\r\n", "502", 2},
		"PATCH is not":                    {"PATCH /open/a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", "502", 2},
		"a method that nobody knows, not": {"FROB /open/a HTTP/1.1\r\nHost: a\r\n\r\n", "502", 2},
	} {
		run(t, name, func(t testing.TB) {
			var asked atomic.Int64
			c := dial(t, guard(t, dying(t, &asked)))
			c.send(get("/open/a"))
			c.answer()
			c.send(tt.send)
			h := c.head()
			if h.status() != tt.status || asked.Load() != tt.asked {
				t.Errorf("%s; the app was asked %d times, want %s and %d", h.line, asked.Load(), tt.status, tt.asked)
			}
		})
	}
	run(t, "one that was closed while idle costs no client an error", func(t testing.TB) {
		closed := make(chan struct{}, 1)
		c := dial(t, guard(t, rawApp(t, func(c *wire, n int) {
			h := c.head()
			c.body(h)
			c.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
			if n == 1 {
				_ = c.Close()
				closed <- struct{}{}
			}
			c.cut()
		})))
		c.send(get("/open/a"))
		c.answer()
		receive(t, closed)
		c.send(get("/open/a"))
		if h, _ := c.answer(); h.status() != "200" {
			t.Errorf("got %s", h.line)
		}
	})
	run(t, "a new connection that ends is not tried for ever", func(t testing.TB) {
		var conns atomic.Int64
		c := dial(t, guard(t, rawApp(t, func(c *wire, _ int) {
			conns.Add(1)
			c.head()
		})))
		c.send(get("/open/a"))
		if h, _ := c.answer(); h.status() != "502" || conns.Load() > 2 {
			t.Errorf("%s after %d connections", h.line, conns.Load())
		}
	})
}
