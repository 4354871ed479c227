package proxy

import (
	"bufio"
	"encoding/json"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/logqueue"
	"github.com/bearerguard/bearerguard/sidecar/proxy/exchange"
	"github.com/bearerguard/bearerguard/sidecar/refuse"
	"github.com/bearerguard/bearerguard/sidecar/requestid"
	"github.com/bearerguard/bearerguard/sidecar/telemetry"
)

// decided is a guard whose decision log is read: a line for each request.
type decided struct {
	*guard
	log *lockedBuffer
}

func logDecisions(t *testing.T, upstream string, change func(*Config), policies ...bundle.Object) *decided {
	t.Helper()
	d := &decided{log: &lockedBuffer{}}
	l, err := logqueue.NewLogger(d.log, "json", "info")
	if err != nil {
		t.Fatal(err)
	}
	d.guard = protect(t, upstream, func(c *Config) {
		c.Observer = logging{telemetry.NewDecisionLog(l, telemetry.LogOptions{AllowEvery: 1, PerReason: 1000})}
		if change != nil {
			change(c)
		}
	}, policies...)
	return d
}

// lines returns the lines of the log that have a request's id.
func (d *decided) lines(t *testing.T, id string) []map[string]any {
	t.Helper()
	var out []map[string]any
	for text := range strings.Lines(d.log.String()) {
		var line map[string]any
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if line["requestID"] == id {
			out = append(out, line)
		}
	}
	return out
}

// told returns the id that a refusal tells the client, in the document and in the header alike.
func told(t *testing.T, res *http.Response, body string) string {
	t.Helper()
	id := res.Header.Get(requestid.Header)
	if refuse.FormOf(2, res.Header.Get("Content-Type")) == refuse.GRPC {
		return id
	}
	var document struct {
		RequestID string `json:"requestId"`
	}
	if err := json.Unmarshal([]byte(body), &document); err != nil || document.RequestID != id {
		t.Errorf("the header says %q, the document %q (%v)", id, body, err)
	}
	return id
}

// What a client is told of a refusal is in the log under the id that it is told, in whatever way it speaks.
func TestTheIDOfARefusalIsInTheLog(t *testing.T) {
	t.Parallel()
	g := logDecisions(t, "http://127.0.0.1:1", func(c *Config) { c.Limits.Body, c.Limits.URL = 1000, 1000 })
	tests := map[string]struct {
		path, method string
		body         int
		reason       string
		lines        int
	}{
		"no token":                    {path: "/orders/1", reason: "NoToken", lines: 1},
		"a rule that denies":          {path: "/docs/admin/a", reason: "DeniedByRule", lines: 1},
		"a path with no one form":     {path: "/docs/%2f", reason: "BadPath", lines: 1},
		"a target that is too long":   {path: "/docs/" + strings.Repeat("a", 2000), reason: "URITooLong", lines: 1},
		"a body that is too large":    {path: "/docs/a", method: "POST", body: 2000, reason: "BodyTooLarge", lines: 1},
		"an app that is not there":    {path: "/docs/a", reason: "UpstreamUnavailable", lines: 2}, // that it was let through, and what became of it
		"a HEAD that shows no answer": {path: "/orders/1", method: "HEAD", reason: "NoToken", lines: 1},
	}
	for _, way := range []string{"HTTP/1.1", "HTTP/2", "gRPC"} {
		kind := "text/plain"
		if way == "gRPC" {
			kind = "application/grpc"
		}
		c := client(t, way != "HTTP/1.1")
		for name, tt := range tests {
			for _, given := range []string{"", "a-1_b.c:d/e+f=@" + way[:1], `"}{"`, strings.Repeat("a", 129)} {
				r := request(t, "GET", "http://"+g.addr+tt.path, nil, "Content-Type", kind)
				if tt.body > 0 {
					r = request(t, "GET", "http://"+g.addr+tt.path, strings.NewReader(strings.Repeat("a", tt.body)), "Content-Type", kind)
				}
				if given != "" {
					r.Header.Set(requestid.Header, given)
				}
				if tt.method != "" {
					r.Method = tt.method
				}
				res, body := ask(t, c, r)
				id := res.Header.Get(requestid.Header)
				if r.Method != "HEAD" {
					id = told(t, res, body)
				}
				unread := tt.reason == "URITooLong" && way == "HTTP/1.1" // its fields say nothing then
				if sane := requestid.Sane(given); id == "" || !unread && (id == given) != sane {
					t.Errorf("%s, %s: given %q, the client is told %q", way, name, given, id)
				}
				lines := g.lines(t, id)
				if len(lines) == 0 || lines[len(lines)-1]["reason"] != tt.reason {
					t.Errorf("%s, %s: the log has of %q %v, want %s", way, name, id, lines, tt.reason)
				}
				if id != given && len(lines) != tt.lines {
					t.Errorf("%s, %s: the log has of %q %v, want %d", way, name, id, lines, tt.lines)
				}
			}
		}
	}
}

// A request that nobody can read has an id as well.
func TestTheIDOfWhatIsNoRequestIsInTheLog(t *testing.T) {
	t.Parallel()
	g := logDecisions(t, "http://127.0.0.1:1", nil)
	for name, send := range map[string]string{
		"bytes":               "\x00\x01\r\n\r\n",
		"two lengths":         "POST /docs/a HTTP/1.1\r\nHost: a\r\nX-Request-Id: mine\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
		"a head without host": "GET /docs/a HTTP/1.1\r\nX-Request-Id: mine\r\n\r\n",
		"another protocol":    "SSH-2.0-OpenSSH_9.6\r\n",
	} {
		got := raw(t, g.addr, send)
		res, err := http.ReadResponse(bufio.NewReader(strings.NewReader(got)), nil)
		if err != nil {
			t.Fatalf("%s: %v in %q", name, err, got)
		}
		_, body, _ := strings.Cut(got, "\r\n\r\n")
		id := told(t, res, body)
		if lines := g.lines(t, id); len(lines) != 1 || id == "mine" || lines[0]["decision"] != "deny" {
			t.Errorf("%s: the client is told %q, of which the log has %v", name, id, lines)
		}
		_ = res.Body.Close()
	}
}

// The app gets the id that the log has.
func TestTheIDThatTheAppGetsIsInTheLog(t *testing.T) {
	t.Parallel()
	got := make(chan []string, 1)
	upstream := app(t, func(_ http.ResponseWriter, r *http.Request) { got <- r.Header[requestid.Header] })
	g := logDecisions(t, upstream.URL, nil)
	for _, way := range []string{"text/plain", "application/json", "application/grpc"} {
		for _, given := range []string{"", "mine-" + way[:1], "not sane", "a<b"} {
			r := request(t, "GET", "http://"+g.addr+"/docs/a", nil, "Content-Type", way, "X_Request_Id", "folded")
			if given != "" {
				r.Header.Set(requestid.Header, given)
			}
			ask(t, client(t, way != "text/plain"), r)
			ids := <-got
			if len(ids) != 1 || (ids[0] == given) != requestid.Sane(given) {
				t.Fatalf("%s: given %q, the app gets %q", way, given, ids)
			}
			if lines := g.lines(t, ids[0]); len(lines) == 0 || lines[0]["reason"] != "Allowed" {
				t.Errorf("%s: the app gets %q, of which the log has %v", way, ids, lines)
			}
		}
	}
}

// A connection of which nobody knows where it goes is a mistake of ours, which must not go unseen.
func TestARequestThatGoesNowhereIsInTheLog(t *testing.T) {
	t.Parallel()
	g := logDecisions(t, "http://127.0.0.1:1", nil)
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for range 2 {
			if c, err := l.Accept(); err == nil {
				g.loops.serve(c, exchange.Info{}, func(netip.Addr) {})
			}
		}
	}()
	for _, h2 := range []bool{false, true} {
		res, body := ask(t, client(t, h2), request(t, "GET", "http://"+l.Addr().String()+"/docs/a", nil))
		lines := g.lines(t, told(t, res, body))
		if res.StatusCode != http.StatusInternalServerError || len(lines) != 1 || lines[0]["reason"] != "InternalError" {
			t.Errorf("answered %d, of which the log has %v", res.StatusCode, lines)
		}
	}
}
