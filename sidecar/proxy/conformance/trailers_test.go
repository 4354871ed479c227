package conformance

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// RFC 9110 section 6.5: trailers pass both ways, and are never taken for header fields.

func TestTrailersOfRequests(t *testing.T) {
	t.Parallel()
	both(t, "announced ones reach the app", func(t testing.TB, v version) {
		seen := make(chan http.Header, 1)
		addr := guard(t, app(t, func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			seen <- r.Trailer
		}))
		r := request(t, "POST", "http://"+addr+"/open/a", unsized("abc"))
		r.Trailer = http.Header{"X-Sum": {"1"}, "X-Other": {"a", "b"}}
		ask(t, client(t, v), r)
		if diff := cmp.Diff(http.Header{"X-Sum": {"1"}, "X-Other": {"a", "b"}}, receive(t, seen)); diff != "" {
			t.Error(diff)
		}
	})
	for name, tt := range map[string]struct {
		head, trailer string
		want          []string
	}{
		"announced, byte for byte":  {"Trailer: X-Sum\r\n", "X-Sum: a  b\xe9\r\n", []string{"X-Sum: a  b\xe9"}},
		"announced but not sent":    {"Trailer: X-Sum\r\n", "", nil},
		"not announced":             {"", "X-Sum: 1\r\n", []string{"X-Sum: 1"}},
		"who the user is":           {"Trailer: X-User, X_user\r\n", "X-User: root\r\nX_user: root\r\n", nil},
		"where it came from":        {"Trailer: X-Forwarded-For, Forwarded\r\n", "X-Forwarded-For: 9.9.9.9\r\nForwarded: for=9.9.9.9\r\n", nil},
		"a token":                   {"Trailer: Authorization\r\n", "Authorization: Bearer x\r\n", nil},
		"a token, not announced":    {"", "Authorization: Bearer x\r\n", nil},
		"a length":                  {"", "Content-Length: 5\r\n", nil},
		"a coding":                  {"", "Transfer-Encoding: chunked\r\n", nil},
		"a host":                    {"", "Host: b\r\n", nil},
		"what ends at the next hop": {"", "Connection: X-User\r\nKeep-Alive: 1\r\nUpgrade: h2c\r\n", nil},
	} {
		run(t, "on the wire: "+name, func(t testing.TB) {
			type seen struct{ fields, trailer []string }
			saw := make(chan seen, 1)
			c := dial(t, guard(t, rawApp(t, func(c *wire, _ int) {
				h := c.head()
				_, trailer := c.chunks()
				saw <- seen{h.fields, trailer}
				c.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			})))
			c.send("POST /open/a HTTP/1.1\r\nHost: a\r\n" + tt.head + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n" + tt.trailer + "\r\n")
			if tt.want == nil && tt.trailer != "" {
				// To refuse such a request is as good as to drop the fields; but if the app gets it, then without them.
				if h, _ := c.answer(); h.status() == "400" {
					return
				}
			}
			got := receive(t, saw)
			if diff := cmp.Diff(tt.want, got.trailer); diff != "" {
				t.Errorf("trailer section: %s", diff)
			}
			if slices.ContainsFunc(got.fields, func(f string) bool {
				return strings.Contains(f, "root") || strings.Contains(f, "9.9.9.9") || strings.HasPrefix(f, "X-Sum")
			}) {
				t.Errorf("header: %q", got.fields)
			}
		})
	}
}

func TestTrailersOfAnswers(t *testing.T) {
	t.Parallel()
	both(t, "announced and not, they reach the client", func(t testing.TB, v version) {
		addr := guard(t, app(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Trailer", "X-Sum")
			_, _ = io.WriteString(w, "abc")
			_ = http.NewResponseController(w).Flush()
			w.Header().Set("X-Sum", "1")
			w.Header().Set(http.TrailerPrefix+"X-Late", "2")
		}))
		res, body := ask(t, client(t, v), request(t, "GET", "http://"+addr+"/open/a", nil, "TE", "trailers"))
		want := http.Header{"X-Sum": {"1"}, "X-Late": {"2"}}
		if diff := cmp.Diff(want, res.Trailer); diff != "" || body != "abc" || res.Header.Get("X-Sum") != "" {
			t.Errorf("%s\n%v %q", diff, res.Header, body)
		}
	})
	for name, tt := range map[string]struct {
		head, trailer string
		want          []string
	}{
		"announced":                {"Trailer: X-Sum\r\n", "X-Sum: 1\r\nX-Sum: 2\r\n", []string{"X-Sum: 1", "X-Sum: 2"}},
		"not announced":            {"", "X-Sum: 1\r\n", []string{"X-Sum: 1"}},
		"of an empty body":         {"Trailer: X-Sum\r\n", "X-Sum: 1\r\n", []string{"X-Sum: 1"}},
		"framing":                  {"", "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", nil},
		"framing that is promised": {"Trailer: Content-Length\r\n", "Content-Length: 3\r\n", nil},
		"of this hop alone":        {"", "Proxy-Connection: close\r\nConnection: close\r\nKeep-Alive: timeout=5\r\n", nil},
	} {
		run(t, "on the wire: "+name, func(t testing.TB) {
			data := "3\r\nabc\r\n"
			if strings.Contains(name, "empty") {
				data = ""
			}
			c := dial(t, guard(t, says(t, fmt.Sprintf("HTTP/1.1 200 OK\r\n%sTransfer-Encoding: chunked\r\n\r\n%s0\r\n%s\r\n", tt.head, data, tt.trailer))))
			c.send(get("/open/a", "TE: trailers\r\n", "Connection: TE\r\n"))
			h := c.head()
			if h.status() == "502" && tt.want == nil {
				return
			}
			if !h.has("Transfer-Encoding") {
				t.Fatalf("got %s %q", h.line, h.fields)
			}
			body, trailer := c.chunks()
			if diff := cmp.Diff(tt.want, trailer); diff != "" || body != strings.Trim(data, "3\r\n") {
				t.Errorf("%s\n%q", diff, body)
			}
		})
	}
	run(t, "a client of HTTP/1.0 gets the body without them", func(t testing.TB) {
		c := dial(t, guard(t, says(t, "HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n")))
		c.send("GET /open/a HTTP/1.0\r\nHost: a\r\n\r\n")
		h := c.head()
		if body := c.rest(); body != "abc" {
			t.Errorf("got %q %q", h.fields, body)
		}
	})
}
