package proxy

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
	"github.com/bearerguard/bearerguard/sidecar/proxy/exchange"
	"github.com/bearerguard/bearerguard/sidecar/telemetry"
)

// noter is an app that notes what it takes for requests.
type noter struct {
	net.Listener
	mu   sync.Mutex
	idle *sync.Cond // of mu: open has become 0
	open int        // guarded by mu
	seen []string   // guarded by mu
}

func (r *noter) run() {
	for {
		c, err := r.Accept()
		if err != nil {
			return
		}
		r.count(+1)
		go func() {
			defer r.count(-1)
			r.serve(c)
		}()
	}
}

func (r *noter) count(delta int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.open += delta; r.open == 0 {
		r.idle.Broadcast()
	}
}

func (r *noter) serve(c net.Conn) {
	defer c.Close()
	in := bufio.NewReader(c)
	for {
		req, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		r.mu.Lock()
		path, _, _ := strings.Cut(req.RequestURI, "?")
		r.seen = append(r.seen, req.Method+" "+asRules(path))
		r.mu.Unlock()
		_, _ = io.Copy(io.Discard, req.Body)
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	}
}

// asRules is a path as rules match it, and records have it.
func asRules(path string) string {
	if read, err := decision.ReadPath(path, decision.PathOptions{}); err == nil {
		return read.Match
	}
	return path
}

// take returns what has been noted, once all connections up to now have ended.
func (r *noter) take(t *testing.T) []string {
	t.Helper()
	c, err := net.Dial("tcp", r.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = io.WriteString(c, "GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	if _, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil { // accepted in order: those before it are counted
		t.Fatal(err)
	}
	_ = c.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.open > 0 {
		r.idle.Wait()
	}
	out := slices.DeleteFunc(r.seen, func(s string) bool { return s == "GET /last" })
	r.seen = nil
	return out
}

// Whatever a client sends, the app sees the requests that were judged and let through, in their order, and no other: no
// byte of a body becomes a request.
func FuzzRelay(f *testing.F) {
	f.Add([]byte("GET /a HTTP/1.1\r\nHost: a\r\n\r\nPOST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 30\r\n\r\nGET /c HTTP/1.1\r\nHost: a\r\n\r\n...GET /d HTTP/1.1\r\nHost: a\r\n\r\n"), 3)
	f.Add([]byte("POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1c\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n\r\n0;x=\"\r\nA: b\r\n\r\nGET /c HTTP/1.1\r\nHost: a\r\n\r\n"), 1)
	f.Add([]byte("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n"), 50)
	f.Add([]byte("GET /a HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n"), 7)
	f.Add([]byte("POST /a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabcTRACE / HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n\r\nGET /c HTTP/1.0\r\n\r\n"), 2)
	f.Add([]byte("GET /%24a/%7Eb HTTP/1.1\r\nHost: a\r\n\r\n"), 100)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.Fatal(err)
	}
	app := &noter{Listener: listener}
	app.idle = sync.NewCond(&app.mu)
	f.Cleanup(func() { _ = app.Close() })
	go app.run()

	judged := make(chan string, 1000)
	p := open(f, Config{Observer: observing(func(rec *telemetry.Record) {
		if rec.Forwarded {
			judged <- rec.Method + " " + rec.Path
		}
	}), Limits: Limits{ReadHead: 5 * time.Second, Idle: 5 * time.Second}})
	upstream := &url.URL{Scheme: "http", Host: listener.Addr().String()}
	f.Fuzz(func(t *testing.T, data []byte, step int) {
		client, server := pair(t)
		served := make(chan struct{})
		p.loops.serve(server, exchange.Info{Port: 80, Upstream: upstream, Remote: netip.MustParseAddr("127.0.0.1")}, func(netip.Addr) { close(served) })
		go func() {
			for rest := data; len(rest) > 0; {
				n, err := client.Write(rest[:min(max(1, step), len(rest))])
				if err != nil {
					return
				}
				rest = rest[n:]
			}
			_ = client.CloseWrite()
		}()
		_, _ = io.Copy(io.Discard, client)
		_ = client.Close()
		<-served
		var want []string
		for len(judged) > 0 {
			want = append(want, <-judged)
		}
		got := app.take(t)
		// A request whose body breaks off may end before the app has seen its head.
		if !slices.Equal(got, want) && !slices.Equal(got, want[:max(0, len(want)-1)]) {
			t.Errorf("the app saw %q; let through were %q", got, want)
		}
	})
}

// open lets everything through that can be understood.
func open(t testing.TB, c Config) *Proxy {
	t.Helper()
	return serving(t, c, gatetest.Policy("open", policy.Spec{Rules: []policy.Rule{{Name: "all", Allow: &policy.Allow{Anonymous: true}}}}))
}

// pair is the two ends of a TCP connection. The client's is open until the test ends.
func pair(t testing.TB) (client, server *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() }) // a connection that nothing holds is closed by the collector
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return c.(*net.TCPConn), s.(*net.TCPConn)
}
