package conformance

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bearerguard/bearerguard/sidecar/proxy"
)

// RFC 9113 section 8: with TLS, a client's HTTP/2 becomes HTTP/1.1 to the app. Nothing may get lost or be forged on the
// way from one framing to the other.

// secured runs a proxy with TLS in front of an app and returns a client of HTTP/2 and its base URL.
func secured(t testing.TB, upstream string, changes ...func(*proxy.Config)) (c *http.Client, base string) {
	t.Helper()
	s := httptest.NewUnstartedServer(nil)
	s.StartTLS()
	defer s.Close()
	addr := guard(t, upstream, append(changes, func(c *proxy.Config) {
		c.TLS = &tls.Config{Certificates: s.TLS.Certificates, MinVersion: tls.VersionTLS12}
	})...)
	c = client(t, http2)
	tr := c.Transport.(*http.Transport)
	tr.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} //nolint:gosec // a test
	tr.Protocols.SetHTTP2(true)
	return c, "https://" + addr
}

func TestDowngradedRequests(t *testing.T) {
	t.Parallel()
	type seen struct{ Line, Host, Length, Coding, Body string }
	for name, tt := range map[string]struct {
		method string
		body   io.Reader
		want   seen
	}{
		"no body":                       {"GET", nil, seen{"GET /open/a?b=%2e HTTP/1.1", "", "", "", ""}},
		"a length":                      {"POST", strings.NewReader("abc"), seen{"POST /open/a?b=%2e HTTP/1.1", "", "3", "", "abc"}},
		"no length":                     {"POST", unsized("abc"), seen{"POST /open/a?b=%2e HTTP/1.1", "", "", "chunked", "abc"}},
		"a body that looks like a head": {"POST", strings.NewReader("GET / HTTP/1.1\r\n\r\n"), seen{"POST /open/a?b=%2e HTTP/1.1", "", "18", "", "GET / HTTP/1.1\r\n\r\n"}},
	} {
		run(t, name, func(t testing.TB) {
			saw := make(chan seen, 1)
			c, base := secured(t, rawApp(t, func(c *wire, _ int) {
				h := c.head()
				saw <- seen{h.line, h.get("Host"), h.get("Content-Length"), h.get("Transfer-Encoding"), c.body(h)}
				c.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
			}))
			if res, body := ask(t, c, request(t, tt.method, base+"/open/a?b=%2e", tt.body)); res.ProtoMajor != 2 || body != "ok" {
				t.Errorf("%s %q", res.Proto, body)
			}
			tt.want.Host = strings.TrimPrefix(base, "https://")
			if diff := cmp.Diff(tt.want, receive(t, saw)); diff != "" {
				t.Error(diff)
			}
		})
	}
	run(t, "fields", func(t testing.TB) {
		heads := make(chan head, 1)
		c, base := secured(t, seenBy(t, heads))
		ask(t, c, request(t, "GET", base+"/open/a", nil, "X-A", "2", "X-A", "1", "X-B", "caf\xe9", "TE", "trailers", "Cookie", "a=1; b=2"))
		h := receive(t, heads)
		for name, want := range map[string][]string{"X-A": {"2", "1"}, "X-B": {"caf\xe9"}, "Cookie": {"a=1; b=2"}, "X-Forwarded-Proto": {"https"}} {
			if diff := cmp.Diff(want, h.values(name)); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
		}
	})
	run(t, "a body that breaks off is not a whole one to the app", func(t testing.TB) {
		begun, whole := make(chan struct{}), make(chan string, 1)
		c, base := secured(t, rawApp(t, func(c *wire, _ int) {
			defer close(whole)
			h := c.head()
			close(begun)
			whole <- c.body(h)
		}))
		pr, pw := io.Pipe()
		go func() {
			_, _ = io.WriteString(pw, "abc")
			<-begun
			_ = pw.CloseWithError(io.ErrUnexpectedEOF)
		}()
		if res, err := c.Do(request(t, "POST", base+"/open/a", pr)); err == nil {
			_ = res.Body.Close()
		}
		if got, ok := <-whole; ok {
			t.Errorf("the app took it for %q", got)
		}
	})
	run(t, "trailers", func(t testing.TB) {
		saw := make(chan []string, 1)
		c, base := secured(t, rawApp(t, func(c *wire, _ int) {
			c.head()
			_, trailer := c.chunks()
			saw <- trailer
			c.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		}))
		r := request(t, "POST", base+"/open/a", unsized("abc"))
		r.Trailer = http.Header{"X-Sum": {"1"}, "X-User": {"root"}, "X_user": {"root"}, "X-Forwarded-For": {"9.9.9.9"}}
		ask(t, c, r)
		if diff := cmp.Diff([]string{"x-sum: 1"}, lowered(receive(t, saw))); diff != "" {
			t.Error(diff)
		}
	})
	run(t, "a token in a trailer", func(t testing.TB) {
		saw := make(chan []string, 1)
		c, base := secured(t, rawApp(t, func(c *wire, _ int) {
			c.head()
			_, trailer := c.chunks()
			saw <- trailer
			c.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		}))
		r := request(t, "POST", base+"/open/a", unsized("abc"))
		r.Trailer = http.Header{"Authorization": {"Bearer x"}}
		res, err := c.Do(r)
		if err != nil {
			return // to refuse it is as good as to drop it
		}
		_ = res.Body.Close()
		if trailer := receive(t, saw); len(trailer) > 0 {
			t.Errorf("the app got %q", trailer)
		}
	})
}

func lowered(lines []string) (out []string) {
	for _, l := range lines {
		out = append(out, lower(l))
	}
	return out
}

func TestDowngradedAnswers(t *testing.T) {
	t.Parallel()
	const ok = "HTTP/1.1 200 OK\r\n"
	for name, tt := range map[string]struct {
		method, answer string
		status         int
		body           string
		length         int64
	}{
		"a length":                             {"GET", ok + "Content-Length: 5\r\n\r\nhello", 200, "hello", 5},
		"chunks":                               {"GET", ok + "Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", 200, "hello", -1},
		"the end of the connection":            {"GET", ok + "\r\nhello", 200, "hello", -1},
		"HEAD":                                 {"HEAD", ok + "Content-Length: 5\r\n\r\n", 200, "", 5},
		"204":                                  {"GET", "HTTP/1.1 204 No Content\r\n\r\n", 204, "", 0},
		"304 with the length of what it is of": {"GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 304, "", 5},
		"hop-by-hop fields":                    {"GET", ok + "Connection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nContent-Length: 5\r\n\r\nhello", 200, "hello", 5},
		"a status below 100":                   {"GET", "HTTP/1.1 099 OK\r\nContent-Length: 5\r\n\r\nhello", 502, "", 0},
		"another version":                      {"GET", "HTTP/2.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", 502, "", 0},
		"two lengths":                          {"GET", ok + "Content-Length: 5\r\nContent-Length: 3\r\n\r\nhello", 502, "", 0},
		"an answer to an upgrade nobody wants": {"GET", "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n", 502, "", 0},
		"a 1xx and no more":                    {"GET", "HTTP/1.1 103 Early Hints\r\n\r\n", 502, "", 0},
	} {
		run(t, name, func(t testing.TB) {
			c, base := secured(t, rawApp(t, func(c *wire, _ int) {
				c.head()
				c.send(tt.answer)
			}))
			res, body := ask(t, c, request(t, tt.method, base+"/open/a", nil))
			if tt.status == 502 {
				tt.body, tt.length = body, res.ContentLength
				if !strings.Contains(body, `"reason":"Upstream`) {
					t.Errorf("got %q", body)
				}
			}
			if res.StatusCode != tt.status || body != tt.body || res.ContentLength != tt.length && tt.status != 204 {
				t.Errorf("got %s, %q, a length of %d", res.Status, body, res.ContentLength)
			}
			for _, name := range []string{"Connection", "X-Hop", "Keep-Alive", "Transfer-Encoding", "Upgrade"} {
				if v := res.Header.Get(name); v != "" {
					t.Errorf("the client got %s: %s", name, v)
				}
			}
		})
	}
	for name, says := range map[string]string{
		"within a length":             "Content-Length: 10\r\n\r\nhello",
		"at the start of a length":    "Content-Length: 10\r\n\r\n",
		"within a chunk":              "Transfer-Encoding: chunked\r\n\r\n10\r\nhello",
		"between chunks":              "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
		"before the last chunk's end": "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
		"with a bad chunk size":       "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n",
		"with a chunk too long":       "Transfer-Encoding: chunked\r\n\r\n4\r\nhello\r\n0\r\n\r\n",
	} {
		run(t, "one that breaks off "+name, func(t testing.TB) {
			c, base := secured(t, rawApp(t, func(c *wire, _ int) {
				c.head()
				c.send(ok + says)
			}))
			res, err := c.Do(request(t, "GET", base+"/open/a", nil))
			if err != nil {
				return
			}
			defer res.Body.Close()
			if b, err := io.ReadAll(res.Body); err == nil && res.StatusCode != 502 {
				t.Errorf("reads as a whole answer: %s %q", res.Status, b)
			}
		})
	}
	run(t, "trailers", func(t testing.TB) {
		c, base := secured(t, says(t, ok+"Trailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\nX-Late: 2\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n"))
		res, body := ask(t, c, request(t, "GET", base+"/open/a", nil))
		if diff := cmp.Diff(http.Header{"X-Sum": {"1"}, "X-Late": {"2"}}, res.Trailer); diff != "" || body != "abc" {
			t.Errorf("%q %s", body, diff)
		}
	})
	run(t, "interim ones, without what is for the next hop alone", func(t testing.TB) {
		c, base := secured(t, says(t, "HTTP/1.1 103 Early Hints\r\nLink: <a>\r\nKeep-Alive: timeout=1\r\nConnection: X-Hop\r\nX-Hop: 1\r\n\r\n"+ok+"Content-Length: 2\r\n\r\nok"))
		var got []string
		trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			got = append(got, fmt.Sprint(code, " ", h))
			return nil
		}}
		r := request(t, "GET", base+"/open/a", nil)
		ask(t, c, r.WithContext(httptrace.WithClientTrace(r.Context(), trace)))
		if diff := cmp.Diff([]string{"103 map[Link:[<a>]]"}, got); diff != "" {
			t.Error(diff)
		}
	})
	run(t, "one that takes too long", func(t testing.TB) {
		c, base := secured(t, rawApp(t, func(c *wire, _ int) { c.cut() }), func(c *proxy.Config) { c.Limits.Response = 100 * time.Millisecond })
		if res, body := ask(t, c, request(t, "GET", base+"/open/a", nil)); res.StatusCode != 504 || !strings.Contains(body, "UpstreamTimeout") {
			t.Errorf("got %s %s", res.Status, body)
		}
	})
}

// The cookies of one request may come in several fields in HTTP/2, and must not in HTTP/1.1 (RFC 9113 section 8.2.3).
func TestCookiesAreOneFieldBehindHTTP2(t *testing.T) {
	t.Parallel()
	got := make(chan []string, 1)
	addr := guard(t, app(t, func(_ http.ResponseWriter, r *http.Request) { got <- r.Header["Cookie"] }))
	c, base := secured(t, strings.Replace(addr, "127", "http://127", 1))
	ask(t, c, request(t, "GET", base+"/open/a", nil, "Cookie", "a=1", "Cookie", "b=2"))
	if diff := cmp.Diff([]string{"a=1; b=2"}, receive(t, got)); diff != "" {
		t.Error(diff)
	}
	var many []string
	for i := range 180 {
		many = append(many, fmt.Sprintf("c%d=%d", i, i))
	}
	ask(t, c, request(t, "GET", base+"/open/a", nil, "Cookie", strings.Join(many, "; "))) // the client splits it
	if diff := cmp.Diff([]string{strings.Join(many, "; ")}, receive(t, got)); diff != "" {
		t.Error(diff)
	}
}
