package conformance

import (
	"net/http"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/api/policy"
)

// RFC 3875 section 4.1.18: CGI and its descendants (WSGI, PHP, Rack) make one variable of all names that differ in case or
// punctuation only. What frames a message to them has to frame it for everybody.
func TestFramingFieldsInOtherSpellings(t *testing.T) {
	t.Parallel()
	for _, field := range [][2]string{
		{"Transfer_Encoding", "chunked"}, {"transfer.encoding", "chunked"}, {"TRANSFER_ENCODING", "identity"}, {"Transfer~Encoding", "chunked"},
		{"Content_Length", "0"}, {"content.length", "3"}, {"CONTENT_LENGTH", "3"}, {"Content!Length", "3"},
	} {
		run(t, field[0], func(t testing.TB) {
			c := dial(t, guard(t, says(t, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")))
			c.send("GET /open/a HTTP/1.1\r\nHost: a\r\n" + field[0] + ": " + field[1] + "\r\n\r\n")
			if h, _ := c.answer(); h.status() != "400" {
				t.Errorf("got %s", h.line)
			}
		})
		toApps(t, field[0], func(t testing.TB) {
			addr := guard(t, app(t, func(http.ResponseWriter, *http.Request) {}))
			if status := frameStatus(t, addr, strings.ToLower(field[0]), field[1]); status != "400" {
				t.Errorf("got %s", status)
			}
		})
	}
	for _, name := range []string{"Transfer_Encoding", "Content_Length", "Proxy"} {
		run(t, "in trailers: "+name, func(t testing.TB) {
			trailers := make(chan []string, 1)
			c := dial(t, guard(t, rawApp(t, func(c *wire, _ int) {
				c.head()
				_, trailer := c.chunks()
				trailers <- trailer
				c.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
			})))
			c.send("POST /open/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + name + ": 3\r\nX-A: b\r\n\r\n")
			if got := receive(t, trailers); len(got) != 1 || got[0] != "X-A: b" {
				t.Errorf("the app got %q", got)
			}
		})
	}
}

// toApps runs a case as a subtest for apps that are spoken to in HTTP/1.1, and in HTTP/2.
func toApps(t *testing.T, name string, f func(t testing.TB)) {
	t.Helper()
	run(t, name+"/HTTP/2 to HTTP/1.1", f)
	overH2C(t, name, f)
}

// RFC 9110 section 8.6: a length is digits. Zeros before it go, as some take them for a sign of an octal number.
func TestLengthsInOtherSpellings(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{"3": "3", "03": "3", " 3\t": "3", "0000000000000000000000003": "3"} {
		run(t, "["+value+"]", func(t testing.TB) {
			h := forwarded(t, "POST /open/a HTTP/1.1\r\nHost: a\r\nContent-Length: "+value+"\r\n\r\nabc")
			if got := h.get("Content-Length"); got != want {
				t.Errorf("the app got %q", got)
			}
		})
	}
	for _, value := range []string{"+3", "-3", "0x3", "3, 3", "3,3", "3 3", "3;", "3.0", "3e0", "", "\xd9\xa3", "9999999999999999999"} {
		run(t, "["+value+"] is refused", func(t testing.TB) {
			c := dial(t, guard(t, says(t, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")))
			c.send("POST /open/a HTTP/1.1\r\nHost: a\r\nContent-Length: " + value + "\r\n\r\nabc")
			if h, _ := c.answer(); h.status() != "400" {
				t.Errorf("got %s", h.line)
			}
		})
	}
	for value, want := range map[string]string{"0": "200", "000": "200", "+0": "PROTOCOL_ERROR", "-0": "PROTOCOL_ERROR", "0x0": "PROTOCOL_ERROR", "0, 0": "PROTOCOL_ERROR", "3": "PROTOCOL_ERROR"} {
		toApps(t, "["+value+"]", func(t testing.TB) {
			addr := guard(t, app(t, func(http.ResponseWriter, *http.Request) {}))
			if status := frameStatus(t, addr, "content-length", value); status != want {
				t.Errorf("got %s, want %s", status, want)
			}
		})
	}
	both(t, "of answers", func(t testing.TB, v version) {
		if _, ok := t.(h2cTB); ok {
			return // an app of HTTP/2 has no such lengths
		}
		addr := guard(t, says(t, "HTTP/1.1 200 OK\r\nContent-Length: 003\r\n\r\nabc"))
		if res, body := ask(t, client(t, v), request(t, "GET", "http://"+addr+"/open/a", nil)); res.Header.Get("Content-Length") != "3" || body != "abc" {
			t.Errorf("%q %q", res.Header, body)
		}
	})
}

// CVE-2016-5385: to CGI and its descendants a field Proxy is the setting HTTP_PROXY.
func TestProxyFieldIsRemoved(t *testing.T) {
	t.Parallel()
	run(t, "on the wire", func(t testing.TB) {
		if h := forwarded(t, "GET /open/a HTTP/1.1\r\nHost: a\r\npROXY: http://b\r\nProxy: http://c\r\n\r\n"); h.has("Proxy") {
			t.Errorf("the app got %q", h.fields)
		}
	})
	both(t, "by a library", func(t testing.TB, v version) {
		got := make(chan http.Header, 1)
		addr := guard(t, app(t, func(_ http.ResponseWriter, r *http.Request) { got <- r.Header }))
		ask(t, client(t, v), request(t, "GET", "http://"+addr+"/open/a", nil, "Proxy", "http://b", "X_Request_Id", "forged"))
		if h := receive(t, got); h["Proxy"] != nil || h["X_request_id"] != nil {
			t.Errorf("the app got %q", h)
		}
	})
}

// RFC 9110 section 7.6.1: Connection must not name what is for all recipients. An app that relies on what was judged gets it.
func TestWhatConnectionCannotTakeAway(t *testing.T) {
	t.Parallel()
	run(t, "a token that is kept", func(t testing.TB) {
		bearer := "Bearer " + token()
		h := forwarded(t, "GET /orders/a HTTP/1.1\r\nHost: a\r\nConnection: close, authorization\r\nAuthorization: "+bearer+"\r\n\r\n")
		if h.get("Authorization") != bearer {
			t.Errorf("the app got %q", h.get("Authorization"))
		}
	})
	for _, name := range []string{
		"Cookie", "Origin", "Referer", "Traceparent", "Tracestate", "Content-Type", "Content-Encoding", "Sec-Fetch-Site", "Cache-Control",
	} {
		run(t, name, func(t testing.TB) {
			h := forwarded(t, "GET /open/a HTTP/1.1\r\nHost: a\r\nConnection: "+name+", X-A\r\n"+name+": b\r\nX-A: c\r\n\r\n")
			if h.get(name) != "b" || h.has("X-A") {
				t.Errorf("the app got %q", h.fields)
			}
		})
	}
	run(t, "what a rule has looked at", func(t testing.TB) {
		heads := make(chan head, 1)
		c := dial(t, guard(t, seenBy(t, heads), ruled(t, policy.Rule{
			Name: "tenant", Match: []policy.Match{{Headers: []policy.HeaderMatch{{Name: "X-Tenant", Values: []string{"a"}}}}}, Allow: &policy.Allow{Anonymous: true},
		})))
		c.send("GET /a HTTP/1.1\r\nHost: a\r\nConnection: X-Tenant, X-Other\r\nX-Tenant: a\r\nX-Other: b\r\n\r\n")
		if h, _ := c.answer(); h.status() != "200" {
			t.Fatalf("got %s", h.line)
		}
		if h := receive(t, heads); h.get("X-Tenant") != "a" || h.has("X-Other") {
			t.Errorf("the app got %q", h.fields)
		}
	})
}

// RFC 9112 section 6.1: an answer without a body has no transfer coding, though some apps say so. It passes without it.
func TestAnswersWithoutABodyThatAnnounceOne(t *testing.T) {
	t.Parallel()
	for name, says := range map[string]string{
		"204":                         "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\nX-A: b\r\n\r\n",
		"204 and an empty body":       "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\nX-A: b\r\n\r\n0\r\n\r\n",
		"204, another coding":         "HTTP/1.1 204 No Content\r\nTransfer-Encoding: gzip, chunked\r\nX-A: b\r\n\r\n",
		"204, and a length":           "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\nX-A: b\r\n\r\n",
		"204, a length":               "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\nX-A: b\r\n\r\nhello",
		"304":                         "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\nX-A: b\r\n\r\n",
		"304 and an empty body":       "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\nX-A: b\r\n\r\n0\r\n\r\n",
		"an interim answer before it": "HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked\r\n\r\nHTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n",
	} {
		app := func(t testing.TB) (url string) {
			return rawApp(t, func(c *wire, _ int) {
				c.head()
				c.send(says)
				if c.cut() != "" {
					c.send("HTTP/1.1 500 asked again\r\nContent-Length: 0\r\n\r\n")
				}
			})
		}
		run(t, name+"/HTTP/1.1", func(t testing.TB) {
			c := dial(t, guard(t, app(t)))
			for range 2 {
				c.send(get("/open/a"))
				h, _ := c.answer()
				for h.status() == "103" {
					h, _ = c.answer()
				}
				if s := h.status(); s != "204" && s != "304" || h.has("Transfer-Encoding") || h.get("X-A") != "b" {
					t.Fatalf("got %s %q", h.line, h.fields)
				}
			}
		})
		run(t, name+"/HTTP/2", func(t testing.TB) {
			addr, c := guard(t, app(t)), client(t, http2)
			for range 2 {
				res, _ := ask(t, c, request(t, "GET", "http://"+addr+"/open/a", nil))
				if res.StatusCode != 204 && res.StatusCode != 304 || res.Header.Get("X-A") != "b" || res.TransferEncoding != nil {
					t.Fatalf("got %s %q", res.Status, res.Header)
				}
			}
		})
	}
}
