package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/sidecar/gate"
	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
	"github.com/bearerguard/bearerguard/sidecar/telemetry"
)

// patience bounds every wait; only a failing test takes as long.
const patience = 30 * time.Second

var corp = gatetest.NewIssuer("https://login.example.com", "k1")

// orders is the policy of most tests.
func orders() policy.Spec {
	return policy.Spec{
		Issuers: []policy.Issuer{corp.Policy("corp")},
		Rules: []policy.Rule{
			{Name: "docs", Match: []policy.Match{{Paths: []string{"/docs/**", "/grpc.health.v1.Health/Watch"}}}, Allow: &policy.Allow{Anonymous: true}},
			{Name: "orders", Match: []policy.Match{{Paths: []string{"/orders/**", "/grpc.health.v1.Health/**"}}}, Allow: &policy.Allow{Authenticated: true}},
			{Name: "no-admin", Match: []policy.Match{{Paths: []string{"/docs/admin/**", "/orders/admin/**"}}}, Deny: &policy.Conditions{}},
		},
		Forward: &policy.Forward{Headers: []policy.IdentityHeader{{Name: "X-User", Claim: "sub"}}},
	}
}

// guard is a running proxy.
type guard struct {
	*Proxy
	addr     string
	observer *recorder
	run      func() // starts it
	stop     func() // starts the drain
	stopped  chan error
}

// recorder is an Observer.
type recorder struct {
	mu      sync.Mutex
	records []telemetry.Record
	conns   int // that are open
	came    int // all that there have been
}

func (r *recorder) Request(rec *telemetry.Record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.records = append(r.records, *rec)
}

func (r *recorder) Connection(delta int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conns += delta
	r.came += max(0, delta)
}

func (r *recorder) total() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.came
}

func (r *recorder) open() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.conns
}

func (r *recorder) reasons() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []string
	for _, rec := range r.records {
		out = append(out, string(rec.Reason))
	}
	return out
}

// protect runs a proxy in front of an upstream.
func protect(t *testing.T, upstream string, change func(*Config), policies ...bundle.Object) *guard {
	t.Helper()
	g := prepare(t, upstream, change, policies...)
	g.run()
	return g
}

// prepare makes a proxy that listens, and serves nobody before it is run: what is sent until then comes in time for all limits.
func prepare(t *testing.T, upstream string, change func(*Config), policies ...bundle.Object) *guard {
	t.Helper()
	if len(policies) == 0 {
		policies = []bundle.Object{gatetest.Policy("orders", orders())}
	}
	g := gate.New(gate.Options{})
	g.Swap(gatetest.Snapshot(t, nil, policies...))
	rec := &recorder{}
	c := Config{
		Gate: g, Listen: []Listen{{Address: "127.0.0.1:0", Upstream: upstream}}, Observer: rec, Log: logr.Discard(),
		Limits: Limits{Drain: 5 * time.Second},
	}
	if change != nil {
		change(&c)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	p, err := New(ctx, c)
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	out := &guard{Proxy: p, addr: p.Addrs()[0].String(), observer: rec, stop: cancel, stopped: make(chan error, 1)}
	out.run = sync.OnceFunc(func() { go func() { out.stopped <- p.Run(ctx) }() })
	t.Cleanup(func() {
		out.run()
		cancel()
		if err := <-out.stopped; err != nil {
			t.Errorf("Run: %v", err)
		}
		out.stopped <- nil
	})
	return out
}

// echo is an app that answers with what it saw. It serves HTTP/1.1 and h2c.
func echo(t *testing.T) *httptest.Server {
	t.Helper()
	return app(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s host=%s\n", r.Proto, r.Method, r.RequestURI, r.Host)
		var lines []string
		for name, values := range r.Header {
			for _, v := range values {
				lines = append(lines, name+": "+v)
			}
		}
		for name, values := range r.Trailer {
			lines = append(lines, "trailer "+name+": "+strings.Join(values, "|"))
		}
		slices.Sort(lines)
		fmt.Fprintf(w, "%s\nbody=%s", strings.Join(lines, "\n"), body)
	})
}

func app(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.Protocols = &http.Protocols{}
	s.Config.Protocols.SetHTTP1(true)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	t.Cleanup(s.Close)
	return s
}

// client speaks HTTP/1.1 or h2c; connections end with the test.
func client(t *testing.T, h2 bool) *http.Client {
	t.Helper()
	tr := &http.Transport{Protocols: &http.Protocols{}, DisableCompression: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // a test
	tr.Protocols.SetHTTP1(!h2)
	tr.Protocols.SetUnencryptedHTTP2(h2)
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: patience}
}

// ask sends a request and returns status and body.
func ask(t *testing.T, c *http.Client, r *http.Request) (*http.Response, string) {
	t.Helper()
	res, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(b)
}

func request(t *testing.T, method, url string, body io.Reader, headers ...string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return r
}

func token() string { return corp.Token(time.Now(), nil) }

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := (&net.Dialer{Timeout: patience}).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(2 * patience))
	return c
}

// raw sends bytes and returns all that comes back until the proxy closes.
func raw(t *testing.T, addr, send string) string {
	t.Helper()
	c := dial(t, addr)
	if _, err := io.WriteString(c, send); err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(c)
	if err != nil {
		t.Errorf("after %d bytes: %v", len(b), err)
	}
	return string(b)
}

// answers returns the status codes in a stream of HTTP/1.1 answers.
func answers(t *testing.T, stream string) []int {
	t.Helper()
	var out []int
	br := bufio.NewReader(strings.NewReader(stream))
	for {
		res, err := http.ReadResponse(br, nil)
		if err != nil {
			return out
		}
		_, _ = io.Copy(io.Discard, res.Body)
		out = append(out, res.StatusCode)
	}
}

func TestForwardedAndRefused(t *testing.T) {
	t.Parallel()
	g := protect(t, echo(t).URL, nil)
	for _, h2 := range []bool{false, true} {
		c := client(t, h2)
		proto := map[bool]string{false: "HTTP/1.1", true: "HTTP/2.0"}[h2]

		res, body := ask(t, c, request(t, "POST", "http://"+g.addr+"/orders/1?a=%2e;b", strings.NewReader("hello"),
			"Authorization", "Bearer "+token(), "X-User", "root", "x_user", "root", "X-Forwarded-For", "1.2.3.4",
			"X-Forwarded-User", "root", "Forwarded", "for=1.2.3.4", "X-Original-Url", "/docs/x"))
		if res.StatusCode != 200 || !strings.HasPrefix(body, "HTTP/1.1 POST /orders/1?a=%2e;b host="+g.addr+"\n") {
			t.Errorf("%s: %d %s", proto, res.StatusCode, body)
		}
		for _, want := range []string{
			"X-User: alice\n", "X-Forwarded-For: 127.0.0.1\n", "X-Forwarded-Proto: http\n", "X-Forwarded-Host: " + g.addr,
			"X-Forwarded-Port: " + g.addr[strings.LastIndex(g.addr, ":")+1:], `Forwarded: for=127.0.0.1;host="` + g.addr + `";proto=http`,
			"body=hello", "Authorization: Bearer ",
		} {
			if !strings.Contains(body, want) {
				t.Errorf("%s: no %q in\n%s", proto, want, body)
			}
		}
		for _, bad := range []string{"root", "1.2.3.4", "Original", "User_"} {
			if strings.Contains(body, bad) {
				t.Errorf("%s: %q got through in\n%s", proto, bad, body)
			}
		}

		res, body = ask(t, c, request(t, "GET", "http://"+g.addr+"/orders/1", nil))
		if res.StatusCode != 401 || res.Header.Get("WWW-Authenticate") != "Bearer" || !strings.Contains(body, `"reason":"NoToken"`) {
			t.Errorf("%s: without a token: %d %v %s", proto, res.StatusCode, res.Header, body)
		}
		res, body = ask(t, c, request(t, "GET", "http://"+g.addr+"/docs/a", nil, "X-User", "root"))
		if res.StatusCode != 200 || strings.Contains(body, "root") {
			t.Errorf("%s: anonymous: %d %s", proto, res.StatusCode, body)
		}
	}
}

// A Connection header must not take away what was set (CVE-2024-45410).
func TestConnectionCannotStripIdentity(t *testing.T) {
	t.Parallel()
	g := protect(t, echo(t).URL, nil)
	got := raw(t, g.addr, "GET /orders/1 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer "+token()+
		"\r\nX-Forwarded-For: 9.9.9.9\r\nConnection: close, X-User, X-Forwarded-For, Host\r\nX-User: root\r\n\r\n")
	for _, want := range []string{"HTTP/1.1 200", "X-User: alice", "X-Forwarded-For: 127.0.0.1", "host=a"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}

func TestOtherHeadersAndTrailersPass(t *testing.T) {
	t.Parallel()
	g := protect(t, echo(t).URL, nil)
	for _, h2 := range []bool{false, true} {
		r := request(t, "POST", "http://"+g.addr+"/docs/a", io.MultiReader(strings.NewReader("abc")), "Traceparent", "00-1-2-03", "X-Multi", "1", "X-Multi", "2")
		r.ContentLength = -1
		r.Trailer = http.Header{"X-Sum": {"7"}, "X-User": {"root"}, "X_user": {"root"}}
		_, body := ask(t, client(t, h2), r)
		for _, want := range []string{"Traceparent: 00-1-2-03", "X-Multi: 1\nX-Multi: 2", "trailer X-Sum: 7", "body=abc"} {
			if !strings.Contains(body, want) {
				t.Errorf("h2 %v: no %q in\n%s", h2, want, body)
			}
		}
		if strings.Contains(body, "root") {
			t.Errorf("h2 %v: an identity trailer got through:\n%s", h2, body)
		}
	}
}
