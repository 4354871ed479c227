package conformance

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// RFC 9110 section 7.6.1: fields that are for the next hop alone go no further.

// seenBy is an app that tells the heads that it gets and answers them.
func seenBy(t testing.TB, heads chan<- head) (url string) {
	t.Helper()
	return rawApp(t, func(c *wire, _ int) {
		for {
			h := c.head()
			c.body(h)
			heads <- h
			c.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
	})
}

// forwarded sends a head and returns the one that the app gets.
func forwarded(t testing.TB, send string) head {
	t.Helper()
	heads := make(chan head, 1)
	c := dial(t, guard(t, seenBy(t, heads)))
	c.send(send)
	if h, _ := c.answer(); h.status() != "200" {
		t.Fatalf("got %s %q", h.line, h.fields)
	}
	return receive(t, heads)
}

func TestHopByHopFieldsOfRequests(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		send string
		gone []string
		kept map[string]string
	}{
		"what Connection names":          {"Connection: X-Hop\r\nX-Hop: 1\r\nX-End: 2\r\n", []string{"X-Hop"}, map[string]string{"X-End": "2"}},
		"what a list names":              {"Connection: x-a , keep-alive,,X-B\r\nX-A: 1\r\nX-B: 1\r\nX-C: 2\r\n", []string{"X-A", "X-B"}, map[string]string{"X-C": "2"}},
		"what two lines name":            {"Connection: X-A\r\nX-A: 1\r\nX-B: 1\r\nconnection: x-b\r\n", []string{"X-A", "X-B"}, nil},
		"every line of what is named":    {"X-A: 1\r\nConnection: X-A\r\nx-a: 2\r\n", []string{"X-A"}, nil},
		"Keep-Alive":                     {"Connection: keep-alive\r\nKeep-Alive: timeout=5\r\n", []string{"Keep-Alive"}, nil},
		"Keep-Alive that nobody names":   {"Keep-Alive: timeout=5\r\n", []string{"Keep-Alive"}, nil},
		"Proxy-Connection":               {"Proxy-Connection: keep-alive\r\n", []string{"Proxy-Connection"}, nil},
		"Proxy-Authorization":            {"Proxy-Authorization: Basic YTpi\r\n", []string{"Proxy-Authorization"}, nil},
		"Upgrade that nobody names":      {"Upgrade: websocket\r\n", []string{"Upgrade"}, nil},
		"an upgrade to h2c":              {"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n", []string{"Upgrade", "HTTP2-Settings"}, nil},
		"HTTP2-Settings nobody names":    {"HTTP2-Settings: AAMAAABkAAQAAP__\r\n", []string{"HTTP2-Settings"}, nil},
		"codings that the client takes":  {"Connection: TE\r\nTE: gzip, deflate;q=0.5\r\n", []string{"TE"}, nil},
		"the host cannot be taken away":  {"Connection: Host\r\n", nil, map[string]string{"Host": "a"}},
		"nor can who the client is":      {"Connection: X-User, X-Forwarded-For, Forwarded\r\n", nil, map[string]string{"X-User": "alice", "X-Forwarded-For": "127.0.0.1"}},
		"nor can one of ours be forged":  {"Connection: X-User\r\nX-User: root\r\n", nil, map[string]string{"X-User": "alice"}},
		"nor can the length":             {"Connection: Content-Length\r\nContent-Length: 0\r\n", []string{"Transfer-Encoding"}, nil},
		"Connection: close":              {"Connection: close, X-A\r\nX-A: 1\r\n", []string{"X-A"}, nil},
		"Trailer is for the recipient":   {"Trailer: X-Sum\r\nTransfer-Encoding: chunked\r\n", nil, map[string]string{"Trailer": "X-Sum"}},
		"Cache-Control is no such field": {"Cache-Control: no-cache\r\nPragma: no-cache\r\n", nil, map[string]string{"Cache-Control": "no-cache", "Pragma": "no-cache"}},
	} {
		run(t, name, func(t testing.TB) {
			body := ""
			if strings.Contains(tt.send, "chunked") {
				body = "0\r\n\r\n"
			}
			h := forwarded(t, "POST /orders/a HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer "+token()+"\r\n"+tt.send+"\r\n"+body)
			for _, name := range tt.gone {
				if h.has(name) {
					t.Errorf("the app got %s: %s", name, h.get(name))
				}
				if slices.ContainsFunc(h.values("Connection"), func(v string) bool { return strings.Contains(strings.ToLower(v), strings.ToLower(name)) }) {
					t.Errorf("the app got Connection: %s", h.get("Connection"))
				}
			}
			for name, want := range tt.kept {
				if diff := cmp.Diff([]string{want}, h.values(name)); diff != "" {
					t.Errorf("%s: %s", name, diff)
				}
			}
		})
	}
}

// TE: trailers may pass, since trailers do; if it does, Connection must name it (RFC 9110 section 10.1.4).
func TestTrailersAreAskedForOnEachHop(t *testing.T) {
	t.Parallel()
	run(t, "TE: trailers among others", func(t testing.TB) {
		h := forwarded(t, "GET /open/a HTTP/1.1\r\nHost: a\r\nConnection: TE\r\nTE: gzip, trailers\r\n\r\n")
		if te := h.get("TE"); te != "" && te != "trailers" {
			t.Errorf("TE: %s", te)
		}
	})
	run(t, "gRPC insists on it", func(t testing.TB) {
		te := make(chan string, 1)
		addr := guard(t, app(t, func(_ http.ResponseWriter, r *http.Request) { te <- r.Header.Get("TE") }))
		ask(t, client(t, http2), request(t, "POST", "http://"+addr+"/open/a", nil, "TE", "trailers", "Content-Type", "application/grpc"))
		if got := receive(t, te); got != "trailers" {
			t.Errorf("TE: %q", got)
		}
	})
}

func TestHopByHopFieldsOfAnswers(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		says string
		gone []string
	}{
		"what Connection names":     {"Connection: X-Hop\r\nX-Hop: 1\r\n", []string{"X-Hop"}},
		"what several lines name":   {"Connection: X-A\r\nX-A: 1\r\nX-B: 1\r\nConnection: x-c, X-B\r\n", []string{"X-A", "X-B"}},
		"Keep-Alive":                {"Connection: keep-alive\r\nKeep-Alive: timeout=5, max=7\r\n", []string{"Keep-Alive"}},
		"Proxy-Connection":          {"Proxy-Connection: keep-alive\r\n", []string{"Proxy-Connection"}},
		"Upgrade on another answer": {"Connection: Upgrade\r\nUpgrade: foo\r\n", []string{"Upgrade"}},
		"TE":                        {"TE: trailers\r\n", []string{"TE"}},
		"nor can the length":        {"Connection: Content-Length\r\n", nil},
	} {
		for _, v := range []version{http1, http2} {
			run(t, name+"/"+string(v), func(t testing.TB) {
				if v == http2 {
					// An app that speaks HTTP/2 cannot send them; one that tries is cut off or corrected by its library.
					addr := guard(t, app(t, func(w http.ResponseWriter, _ *http.Request) {
						for line := range strings.SplitSeq(strings.TrimSuffix(tt.says, "\r\n"), "\r\n") {
							name, value, _ := strings.Cut(line, ": ")
							w.Header().Add(name, value)
						}
						_, _ = w.Write([]byte("ok"))
					}))
					res, err := client(t, v).Do(request(t, "GET", "http://"+addr+"/open/a", nil))
					if err != nil {
						t.Fatal(err)
					}
					_ = res.Body.Close()
					for _, name := range []string{"Connection", "Keep-Alive", "Proxy-Connection", "Upgrade", "Transfer-Encoding"} {
						if res.Header.Get(name) != "" {
							t.Errorf("the client got %s: %s", name, res.Header.Get(name))
						}
					}
					return
				}
				c := dial(t, guard(t, says(t, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"+tt.says+"X-End: 1\r\n\r\nok")))
				c.send("GET /open/a HTTP/1.1\r\nHost: a\r\n\r\n")
				h, body := c.answer()
				for _, name := range append(tt.gone, "Connection") {
					if h.has(name) {
						t.Errorf("the client got %s: %s", name, h.get(name))
					}
				}
				if body != "ok" || h.get("X-End") != "1" {
					t.Errorf("got %q and %q", h.fields, body)
				}
			})
		}
	}
}

// RFC 9113 section 8.2.2: a message with such fields is malformed in HTTP/2.
func TestConnectionFieldsAreMalformedInHTTP2(t *testing.T) {
	t.Parallel()
	for _, field := range [][2]string{
		{"connection", "close"}, {"keep-alive", "timeout=5"}, {"proxy-connection", "close"}, {"transfer-encoding", "chunked"},
		{"upgrade", "websocket"}, {"te", "gzip"}, {"Upper", "case"},
	} {
		run(t, field[0], func(t testing.TB) {
			heads := make(chan head, 1)
			if status := frameStatus(t, guard(t, seenBy(t, heads)), field[0], field[1]); status == "200" {
				t.Error("it was forwarded")
			}
			if len(heads) > 0 {
				t.Errorf("the app got %v", <-heads)
			}
		})
	}
}
