package conformance

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// RFC 9110 sections 10.1.1 and 15.2: Expect, and answers that come before the answer.

const expecting = "POST /open/a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"

func TestExpect(t *testing.T) {
	t.Parallel()
	run(t, "an app that says 100 gets the body", func(t testing.TB) {
		heads := make(chan head, 1)
		c := dial(t, guard(t, rawApp(t, func(c *wire, _ int) {
			h := c.head()
			heads <- h
			c.send("HTTP/1.1 100 Continue\r\n\r\n")
			c.send("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n" + c.body(h))
		})))
		c.send(expecting)
		if h := receive(t, heads); !strings.EqualFold(h.get("Expect"), "100-continue") {
			t.Errorf("the app got %q", h.fields)
		}
		if h := c.head(); h.status() != "100" {
			t.Fatalf("got %s before the body", h.line)
		}
		c.send("abc")
		if h, body := c.answer(); h.status() != "200" || body != "abc" {
			t.Errorf("got %s %q", h.line, body)
		}
	})
	for _, status := range []string{"417 Expectation Failed", "413 Content Too Large", "401 Unauthorized", "200 OK"} {
		run(t, "an app that answers at once, "+status, func(t testing.TB) {
			c := dial(t, guard(t, rawApp(t, func(c *wire, _ int) {
				c.head()
				c.send("HTTP/1.1 " + status + "\r\nContent-Length: 5\r\n\r\nearly")
				c.cut()
			})))
			c.send(expecting)
			if h, body := c.answer(); h.status() != status[:3] || body != "early" {
				t.Errorf("got %s %q", h.line, body)
			}
		})
	}
	run(t, "a refusal comes at once, and the app is not asked", func(t testing.TB) {
		heads := make(chan head, 1)
		c := dial(t, guard(t, seenBy(t, heads)))
		c.send(strings.Replace(expecting, "/open/", "/orders/", 1))
		if h, _ := c.answer(); h.status() != "401" {
			t.Errorf("got %s", h.line)
		}
		if len(heads) > 0 {
			t.Error("the app was asked")
		}
	})
	run(t, "a client that does not wait", func(t testing.TB) {
		c := dial(t, guard(t, rawApp(t, func(c *wire, _ int) {
			h := c.head()
			c.send("HTTP/1.1 100 Continue\r\n\r\n")
			c.send("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n" + c.body(h))
		})))
		c.send(expecting + "abc")
		h, body := c.answer()
		if h.status() == "100" {
			h, body = c.answer()
		}
		if h.status() != "200" || body != "abc" {
			t.Errorf("got %s %q", h.line, body)
		}
	})
	run(t, "an app that knows nothing of it gets the body in the end", func(t testing.TB) {
		c := dial(t, guard(t, rawApp(t, func(c *wire, _ int) {
			h := c.head()
			c.send("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n" + c.body(h))
		})))
		c.send(expecting)
		if h := c.head(); h.status() != "100" {
			t.Fatalf("got %s", h.line)
		}
		c.send("abc")
		if h, body := c.answer(); h.status() != "200" || body != "abc" {
			t.Errorf("got %s %q", h.line, body)
		}
	})
	run(t, "the rest of a body that nobody asked for is no request", func(t testing.TB) {
		heads := make(chan head, 4)
		c := dial(t, guard(t, rawApp(t, func(c *wire, _ int) {
			for {
				h := c.head()
				heads <- h
				c.send("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n")
				c.body(h) // it may come all the same
			}
		})))
		inner := get("/open/smuggled")
		c.send(fmt.Sprintf("POST /open/a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", len(inner)))
		c.answer()
		_, _ = io.WriteString(c, inner)
		_ = c.CloseWrite()
		c.cut()
		receive(t, heads)
		if len(heads) > 0 {
			t.Errorf("the app got %s", (<-heads).line)
		}
	})
	both(t, "a client that waits sends when the app reads", func(t testing.TB, v version) {
		addr := guard(t, app(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }))
		res, body := ask(t, client(t, v), request(t, "POST", "http://"+addr+"/open/a", strings.NewReader("abc"), "Expect", "100-continue"))
		if res.StatusCode != 200 || body != "abc" {
			t.Errorf("got %s %q", res.Status, body)
		}
	})
	both(t, "a client that waits need not send", func(t testing.TB, v version) {
		addr := guard(t, app(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusExpectationFailed) }))
		res, _ := ask(t, client(t, v), request(t, "POST", "http://"+addr+"/open/a", strings.NewReader("abc"), "Expect", "100-continue"))
		if res.StatusCode != 417 {
			t.Errorf("got %s", res.Status)
		}
	})
}

func TestInterimAnswersPass(t *testing.T) {
	t.Parallel()
	both(t, "early hints, several", func(t testing.TB, v version) {
		next := make(chan struct{}, 3)
		addr := guard(t, app(t, func(w http.ResponseWriter, r *http.Request) {
			for i := range 3 {
				w.Header().Set("Link", fmt.Sprintf("</%d.css>; rel=preload", i))
				w.WriteHeader(http.StatusEarlyHints)
				select { // the client must have this one before the next
				case <-next:
				case <-r.Context().Done():
				}
			}
			w.Header().Del("Link")
			_, _ = io.WriteString(w, "done")
		}))
		var got []string
		trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			got = append(got, fmt.Sprint(code, " ", h.Get("Link")))
			next <- struct{}{}
			return nil
		}}
		r := request(t, "GET", "http://"+addr+"/open/a", nil)
		res, body := ask(t, client(t, v), r.WithContext(httptrace.WithClientTrace(r.Context(), trace)))
		want := []string{"103 </0.css>; rel=preload", "103 </1.css>; rel=preload", "103 </2.css>; rel=preload"}
		if diff := cmp.Diff(want, got); diff != "" || body != "done" || res.Header.Get("Link") != "" {
			t.Errorf("%s\n%v %q", diff, res.Header, body)
		}
	})
	run(t, "their bytes", func(t testing.TB) {
		c := dial(t, guard(t, says(t, "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <a>\r\nLink: <b>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")))
		for range 2 {
			c.send(get("/open/a"))
			if h := c.head(); h.status() != "102" || len(h.fields) > 0 {
				t.Errorf("got %s %q", h.line, h.fields)
			}
			if h := c.head(); h.status() != "103" || !slices.Equal(h.values("Link"), []string{"<a>", "<b>"}) || len(h.fields) != 2 {
				t.Errorf("got %s %q", h.line, h.fields)
			}
			if h, body := c.answer(); h.status() != "200" || body != "ok" || h.has("Link") {
				t.Errorf("got %s %q", h.line, body)
			}
		}
	})
	run(t, "what is for the next hop alone does not", func(t testing.TB) {
		c := dial(t, guard(t, says(t, "HTTP/1.1 103 Early Hints\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=1\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")))
		c.send(get("/open/a"))
		if h := c.head(); h.status() != "103" || len(h.fields) > 0 {
			t.Errorf("got %s %q", h.line, h.fields)
		}
	})
	run(t, "none goes to a client of HTTP/1.0", func(t testing.TB) {
		c := dial(t, guard(t, says(t, "HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")))
		c.send("GET /open/a HTTP/1.0\r\nHost: a\r\n\r\n")
		if h, body := c.answer(); h.status() != "200" || body != "ok" {
			t.Errorf("got %s", h.line)
		}
	})
	run(t, "a 100 that nobody asked for does no harm", func(t testing.TB) {
		c := dial(t, guard(t, says(t, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")))
		for range 2 {
			c.send(get("/open/a"))
			h, body := c.answer()
			if h.status() == "100" {
				h, body = c.answer()
			}
			if h.status() != "200" || body != "ok" {
				t.Errorf("got %s", h.line)
			}
		}
	})
	run(t, "an endless row of them comes to an end", func(t testing.TB) {
		c := dial(t, guard(t, rawApp(t, func(c *wire, _ int) {
			c.head()
			for {
				c.send(strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n", 100))
			}
		})))
		c.send(get("/open/a", "Connection: close\r\n"))
		const most = 4 << 20
		got, err := io.ReadAll(io.LimitReader(c.in, most))
		if len(got) == most {
			t.Fatal("it goes on")
		}
		last := string(got[max(0, strings.LastIndex(string(got), "HTTP/1.1 ")):])
		if !strings.HasPrefix(last, "HTTP/1.1 502") && !strings.HasPrefix(last, "HTTP/1.1 103") && err == nil {
			t.Errorf("at the end: %q", last)
		}
	})
	run(t, "nor do few that are large", func(t testing.TB) {
		c := dial(t, guard(t, rawApp(t, func(c *wire, _ int) {
			c.head()
			early := "HTTP/1.1 103 Early Hints\r\nLink: " + strings.Repeat("x", 200<<10) + "\r\n\r\n"
			for range 20 {
				c.send(early)
			}
			c.send("HTTP/1.1 204 No Content\r\n\r\n")
		})))
		c.send(get("/open/a", "Connection: close\r\n"))
		if got := c.rest(); len(got) > 600<<10 || !strings.Contains(got, "HTTP/1.1 502") {
			t.Errorf("%d bytes came, and no refusal", len(got))
		}
	})
	run(t, "nor does one go on for ever in HTTP/2", func(t testing.TB) {
		addr := guard(t, app(t, func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				w.Header().Set("Link", "<a>")
				w.WriteHeader(http.StatusEarlyHints)
			}
		}))
		if status, n := frames(t, addr); n >= manyInterim {
			t.Errorf("%d came, then %s", n, status)
		}
	})
}
