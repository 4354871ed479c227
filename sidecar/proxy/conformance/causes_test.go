package conformance

import (
	"strings"
	"sync"
	"testing"

	h2 "golang.org/x/net/http2"

	"github.com/bearerguard/bearerguard/api/logqueue"
	"github.com/bearerguard/bearerguard/sidecar/proxy"
	"github.com/bearerguard/bearerguard/sidecar/telemetry"
)

// lines are what a decision log has written.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write implements io.Writer.
func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

// String returns all that has been written.
func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// observer gives requests to a decision log.
type observer struct{ *telemetry.DecisionLog }

// Connection implements proxy.Observer.
func (observer) Connection(int) {}

// logged has a proxy log its decisions at info, as the sidecar does.
func logged(t testing.TB) (*lines, func(*proxy.Config)) {
	t.Helper()
	l := &lines{}
	log, err := logqueue.NewLogger(l, "json", "info")
	if err != nil {
		t.Fatal(err)
	}
	return l, func(c *proxy.Config) { c.Observer = observer{telemetry.NewDecisionLog(log, telemetry.LogOptions{})} }
}

// Why an app's answer was none is in the log, without anything of what it or the client said.
func TestCausesAreLogged(t *testing.T) {
	t.Parallel()
	const ok, secret = "HTTP/1.1 200 OK\r\n", "canary-5f1e"
	for name, tt := range map[string]struct{ says, cause string }{
		"two framings":               {ok + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", "body is framed in two ways"},
		"two lengths":                {ok + "Content-Length: 3\r\nContent-Length: 4\r\n\r\n", "length is malformed or comes more than once"},
		"a field that is none":       {ok + secret + "\r\n\r\n", "header field is malformed"},
		"a status line that is none": {secret + "\r\n\r\n", "status line is malformed"},
		"a bad first chunk":          {ok + "Transfer-Encoding: chunked\r\n\r\n" + secret, "chunk is malformed"},
		"no answer":                  {"", "closed the connection before it answered"},
		"half a head":                {ok + "X-A: " + secret, "closed the connection within the head"},
	} {
		both := map[string]version{"HTTP/1.1": http1, "HTTP/2": http2}
		for which, v := range both {
			run(t, name+"/"+which, func(t testing.TB) {
				log, logs := logged(t)
				addr := guard(t, rawApp(t, func(c *wire, _ int) {
					c.head()
					c.send(tt.says)
				}), logs)
				res, body := ask(t, client(t, v), request(t, "GET", "http://"+addr+"/open/a", nil))
				if text := log.String(); res.StatusCode != 502 || !strings.Contains(text, tt.cause) || strings.Contains(text+body, secret) {
					t.Errorf("%s; the log says %q, want %q", res.Status, text, tt.cause)
				}
			})
		}
	}
	for _, v := range []version{http1, http2} {
		check := func(t testing.TB) {
			log, logs := logged(t)
			res, _ := ask(t, client(t, v), request(t, "GET", "http://"+guard(t, nowhere(t), logs)+"/open/a", nil))
			if text := log.String(); res.StatusCode != 502 || !strings.Contains(text, "connection refused") {
				t.Errorf("%s; the log says %q", res.Status, text)
			}
		}
		run(t, "nobody listens/"+string(v), check)
		if v == http2 {
			overH2C(t, "nobody listens", check)
		}
	}
	for name, tt := range map[string]struct {
		fields []string
		cause  string
	}{
		"a head that is too large": {[]string{":status", "200", "x-a", secret + strings.Repeat("x", 300<<10)}, "fields exceed the limits"},
		"a name in capitals":       {[]string{":status", "200", "X-A", secret}, "name is not a token in lower case"},
		"no status":                {[]string{"x-a", secret}, ":status is missing"},
	} {
		overH2C(t, name, func(t testing.TB) {
			log, logs := logged(t)
			addr := guard(t, h2cApp(t, func(_ *wire, f *h2.Framer, s uint32) { answers(f, s, true, tt.fields...) }), logs)
			res, body := ask(t, client(t, http2), request(t, "GET", "http://"+addr+"/open/a", nil))
			if text := log.String(); res.StatusCode != 502 || !strings.Contains(text, tt.cause) || strings.Contains(text+body, secret) {
				t.Errorf("%s; the log says %q, want %q", res.Status, text, tt.cause)
			}
		})
	}
	run(t, "a malformed request", func(t testing.TB) {
		log, logs := logged(t)
		c := dial(t, guard(t, nowhere(t), logs))
		c.send("GET /open/a HTTP/1.1\r\nHost: a\r\nTransfer_Encoding: chunked\r\nX-A: " + secret + "\r\n\r\n")
		if h, _ := c.answer(); h.status() != "400" {
			t.Errorf("got %s", h.line)
		}
		if text := log.String(); !strings.Contains(text, "spelled with other characters than hyphens") || strings.Contains(text, secret) {
			t.Errorf("the log says %q", text)
		}
	})
}
