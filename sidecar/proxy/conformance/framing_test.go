package conformance

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// RFC 9112 sections 6 and 7, RFC 9113 section 8.1: where a body ends, and that all of it passes.

func TestBodiesPassWhole(t *testing.T) {
	t.Parallel()
	echo := app(t, func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		w.Header().Set("X-Saw", fmt.Sprintf("%d %v", r.ContentLength, err))
		if r.URL.Query().Has("length") {
			w.Header().Set("Content-Length", fmt.Sprint(len(b)))
		} else {
			w.WriteHeader(http.StatusOK)
			_ = http.NewResponseController(w).Flush()
		}
		_, _ = w.Write(b)
	})
	addr := guard(t, echo)
	for _, size := range []int{0, 1, 4095, 4096, 4097, 32 << 10, 64<<10 + 1, 3 << 20} {
		for query, length := range map[string]int{"length": size, "unknown": -1} {
			both(t, fmt.Sprintf("%d bytes of %s both ways", size, query), func(t testing.TB, v version) {
				text, saw := pattern(size), fmt.Sprintf("%d <nil>", length)
				var body io.Reader = strings.NewReader(text)
				if length < 0 {
					body = unsized(text)
				}
				r := request(t, "POST", "http://"+addr+"/open/a?"+query, body)
				res, got := ask(t, client(t, v), r)
				if got != text {
					t.Errorf("%d bytes came back, not the same", len(got))
				}
				if size == 0 && length < 0 {
					return // that nothing comes may be known or not
				}
				if res.Header.Get("X-Saw") != saw || res.ContentLength != int64(length) {
					t.Errorf("the app saw %s, want %s; the client saw a length of %d", res.Header.Get("X-Saw"), saw, res.ContentLength)
				}
			})
		}
	}
}

// The framing of a request is the client's, on the wire to the app too.
func TestRequestFramingOnTheWire(t *testing.T) {
	t.Parallel()
	type seen struct{ Method, Length, Coding, Body string }
	tests := map[string]struct {
		send string
		want seen
	}{
		"no body":                          {"GET /open/a HTTP/1.1\r\nHost: a\r\n\r\n", seen{"GET", "", "", ""}},
		"a length":                         {"POST /open/a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", seen{"POST", "3", "", "abc"}},
		"a length of zero":                 {"POST /open/a HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", seen{"POST", "0", "", ""}},
		"chunks":                           {"POST /open/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n", seen{"POST", "", "chunked", "abc"}},
		"a chunk size with leading zeros":  {"POST /open/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n00003\r\nabc\r\n000\r\n\r\n", seen{"POST", "", "chunked", "abc"}},
		"chunk extensions":                 {"POST /open/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b;c=\"d\"\r\nabc\r\n0;e\r\n\r\n", seen{"POST", "", "chunked", "abc"}},
		"the coding's name in upper case":  {"POST /open/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: CHUNKED\r\n\r\n3\r\nabc\r\n0\r\n\r\n", seen{"POST", "", "chunked", "abc"}},
		"a GET with a body":                {"GET /open/a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", seen{"GET", "3", "", "abc"}},
		"a DELETE with a body":             {"DELETE /open/a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", seen{"DELETE", "3", "", "abc"}},
		"a GET with a body in chunks":      {"GET /open/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", seen{"GET", "", "chunked", "abc"}},
		"a body that looks like a request": {"POST /open/a HTTP/1.1\r\nHost: a\r\nContent-Length: 18\r\n\r\nGET / HTTP/1.1\r\n\r\n", seen{"POST", "18", "", "GET / HTTP/1.1\r\n\r\n"}},
	}
	for name, tt := range tests {
		run(t, name, func(t testing.TB) {
			saw := make(chan seen, 2)
			addr := guard(t, rawApp(t, func(c *wire, _ int) {
				for {
					h := c.head()
					method, _, _ := strings.Cut(h.line, " ")
					s := seen{method, h.get("Content-Length"), strings.ToLower(h.get("Transfer-Encoding")), ""}
					s.Body = c.body(h)
					saw <- s
					c.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
				}
			}))
			c := dial(t, addr)
			for range 2 { // the second shows that the first ended where it should
				c.send(tt.send)
				if h, body := c.answer(); h.status() != "200" || body != "ok" {
					t.Fatalf("got %s %q", h.line, body)
				}
				if got := receive(t, saw); got != tt.want {
					t.Errorf("the app saw %+v, want %+v", got, tt.want)
				}
			}
		})
	}
}

// Every way in which an app may frame its answer gets through, and the client's connection stays in step.
func TestAnswerFramingOnTheWire(t *testing.T) {
	t.Parallel()
	const ok = "HTTP/1.1 200 OK\r\n"
	tests := map[string]struct {
		method, answer string
		status, body   string
		length         string // the Content-Length that the client must see
	}{
		"a length":                             {"GET", ok + "Content-Length: 5\r\n\r\nhello", "200", "hello", "5"},
		"a length of zero":                     {"GET", ok + "Content-Length: 0\r\n\r\n", "200", "", "0"},
		"chunks":                               {"GET", ok + "Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n", "200", "hello", ""},
		"chunks without data":                  {"GET", ok + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "200", "", ""},
		"the coding's name in other case":      {"GET", ok + "Transfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "200", "hello", ""},
		"the end of the connection":            {"GET", ok + "\r\nhello", "200", "hello", ""},
		"the end of the connection, no data":   {"GET", ok + "\r\n", "200", "", ""},
		"the end of an HTTP/1.0 connection":    {"GET", "HTTP/1.0 200 OK\r\n\r\nhello", "200", "hello", ""},
		"a length in HTTP/1.0":                 {"GET", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", "200", "hello", "5"},
		"HEAD with a length":                   {"HEAD", ok + "Content-Length: 5\r\n\r\n", "200", "", "5"},
		"HEAD with chunks":                     {"HEAD", ok + "Transfer-Encoding: chunked\r\n\r\n", "200", "", ""},
		"HEAD without framing":                 {"HEAD", ok + "X-A: b\r\n\r\n", "200", "", ""},
		"204":                                  {"DELETE", "HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n", "204", "", ""},
		"304":                                  {"GET", "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n", "304", "", ""},
		"304 with the length of what it is of": {"GET", "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\nContent-Length: 5\r\n\r\n", "304", "", "5"},
		"an error with a body":                 {"GET", "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 5\r\n\r\nhello", "500", "hello", "5"},
		"a length in another case of the name": {"GET", ok + "content-length:5\r\n\r\nhello", "200", "hello", "5"},
		"a reason phrase that is empty":        {"GET", "HTTP/1.1 200 \r\nContent-Length: 5\r\n\r\nhello", "200", "hello", "5"},
		"no reason phrase, nor the space":      {"GET", "HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhello", "200", "hello", "5"},
		"a status that nobody knows":           {"GET", "HTTP/1.1 299 Whatever\r\nContent-Length: 5\r\n\r\nhello", "299", "hello", "5"},
	}
	for name, tt := range tests {
		run(t, name, func(t testing.TB) {
			addr := guard(t, rawApp(t, func(c *wire, _ int) {
				for again := true; again; again = tt.method == "DELETE" { // which nobody sends again where a connection has just ended
					c.head()
					c.send(tt.answer)
				}
			}))
			c := dial(t, addr)
			for range 2 {
				c.send(tt.method + " /open/a HTTP/1.1\r\nHost: a\r\n\r\n")
				h := c.head()
				body := ""
				if tt.method != "HEAD" && h.status() != "204" && h.status() != "304" {
					body = c.body(h)
				}
				if h.status() != tt.status || body != tt.body || h.get("Content-Length") != tt.length {
					t.Fatalf("got %s %q and %q, want %s %q and a length of %q", h.line, h.fields, body, tt.status, tt.body, tt.length)
				}
				if !strings.HasPrefix(h.line, "HTTP/1.1 "+tt.status+" ") {
					t.Errorf("%q; the version is the proxy's own (RFC 9110 section 2.5), and a space stands behind the status (RFC 9112 section 4)", h.line)
				}
				if h.get("Connection") == "close" {
					t.Fatalf("the client's connection ends, too: %q", h.fields)
				}
			}
		})
	}
}

// Framing that two readers may take differently is settled or refused, never passed on.
func TestAmbiguousAnswersAreNotPassedOn(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		answer string
		body   string // that an accepted answer has; refused must it be if this is empty
	}{
		"both framings":         {"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "hello"},
		"two lengths":           {"Content-Length: 3\r\nContent-Length: 5\r\n\r\nhello", ""},
		"the same length twice": {"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", "hello"},
		"a list of lengths":     {"Content-Length: 5, 3\r\n\r\nhello", ""},
		"a negative length":     {"Content-Length: -5\r\n\r\nhello", ""},
		"a signed length":       {"Content-Length: +5\r\n\r\nhello", ""},
		"a length in hex":       {"Content-Length: 0x5\r\n\r\nhello", ""},
		"a length too large":    {"Content-Length: 99999999999999999999\r\n\r\nhello", ""},
		"another coding":        {"Transfer-Encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", ""},
		"chunked twice":         {"Transfer-Encoding: chunked, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", ""},
		"an unknown coding":     {"Transfer-Encoding: x\r\n\r\nhello", ""},
	} {
		run(t, name, func(t testing.TB) {
			c := dial(t, guard(t, rawApp(t, func(c *wire, _ int) {
				c.head()
				c.send("HTTP/1.1 200 OK\r\n" + tt.answer)
			})))
			c.send("GET /open/a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
			h, body := c.answer()
			if h.status() == "502" {
				return
			}
			if h.status() != "200" || tt.body == "" || body != tt.body || len(h.values("Content-Length"))+len(h.values("Transfer-Encoding")) > 1 {
				t.Errorf("got %s %q and %q", h.line, h.fields, body)
			}
		})
	}
}

// A body that does not end as it said is never a whole one to the app.
func TestBrokenRequestBodiesStayBroken(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"fewer bytes than the length":  "Content-Length: 5\r\n\r\nabc",
		"no last chunk":                "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
		"the last chunk cut off":       "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n",
		"a chunk shorter than it says": "Transfer-Encoding: chunked\r\n\r\n5\r\nabc\r\n0\r\n\r\n",
		"a chunk longer than it says":  "Transfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n",
		"a chunk size with junk":       "Transfer-Encoding: chunked\r\n\r\n3x\r\nabc\r\n0\r\n\r\n",
		"a chunk size that overflows":  "Transfer-Encoding: chunked\r\n\r\n10000000000000003\r\nabc\r\n0\r\n\r\n",
		"bare LF behind a chunk size":  "Transfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n",
		"bare LF behind a chunk":       "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\n0\r\n\r\n",
		"no chunk size":                "Transfer-Encoding: chunked\r\n\r\n\r\nabc\r\n0\r\n\r\n",
	} {
		run(t, name, func(t testing.TB) {
			whole := make(chan string, 4)
			c := dial(t, guard(t, rawApp(t, func(c *wire, _ int) {
				h := c.head()
				whole <- h.line + "\n" + c.body(h)
				c.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
			})))
			c.send("POST /open/a HTTP/1.1\r\nHost: a\r\n" + body)
			_ = c.CloseWrite()
			if got := c.cut(); strings.Contains(got, " 200 ") {
				t.Errorf("the client was told %q", got)
			}
			select {
			case got := <-whole:
				t.Errorf("the app took this for a request: %q", got)
			default: // the script ends without telling if the body does not end
			}
		})
	}
}
