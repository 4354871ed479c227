// Package conformance proves what HTTP asks of the proxy, from outside: a proxy is made as the program makes it, and is
// talked to over sockets, on both sides. Nothing here knows how it works inside. Where bytes matter, both ends are raw
// connections; where a case has a meaning in both versions, it runs against HTTP/1.1 and HTTP/2 without TLS (h2c).
package conformance

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"

	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/sidecar/gate"
	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
	"github.com/bearerguard/bearerguard/sidecar/proxy"
)

// patience bounds every wait; only a failing test takes as long.
const patience = time.Minute

var corp = gatetest.NewIssuer("https://login.example.com", "k1")

func token() string { return corp.Token(time.Now(), nil) }

// guard runs a proxy in front of an app and returns its address. Below /open everything is let through, below /orders
// only with a token, whose subject the app gets as X-User.
func guard(t testing.TB, upstream string, changes ...func(*proxy.Config)) string {
	t.Helper()
	g := gate.New(gate.Options{})
	g.Swap(gatetest.Snapshot(t, nil, gatetest.Policy("orders", policy.Spec{
		Issuers: []policy.Issuer{corp.Policy("corp")},
		Rules: []policy.Rule{
			{Name: "open", Match: []policy.Match{{Paths: []string{"/open/**"}}}, Allow: &policy.Allow{Anonymous: true}},
			{Name: "orders", Match: []policy.Match{{Paths: []string{"/orders/**"}}}, Allow: &policy.Allow{Authenticated: true}},
		},
		Forward: &policy.Forward{Headers: []policy.IdentityHeader{{Name: "X-User", Claim: "sub"}}},
	})))
	c := proxy.Config{
		Gate: g, Listen: []proxy.Listen{{Address: "127.0.0.1:0", Upstream: upstream}}, Log: logr.Discard(),
		Limits: proxy.Limits{Drain: time.Second},
	}
	if _, ok := t.(h2cTB); ok {
		c.AppProtocol = proxy.AppH2C
	}
	for _, change := range changes {
		change(&c)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	p, err := proxy.New(ctx, c)
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- p.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-stopped; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return p.Addrs()[0].String()
}

// app is an app of net/http that serves HTTP/1.1 and h2c.
func app(t testing.TB, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.Protocols = protocols(true, true)
	s.Start()
	t.Cleanup(s.Close)
	return s.URL
}

func protocols(one, two bool) *http.Protocols {
	p := &http.Protocols{}
	p.SetHTTP1(one)
	p.SetUnencryptedHTTP2(two)
	return p
}

// version is a version of HTTP that clients speak.
type version string

const (
	http1 version = "HTTP/1.1"
	http2 version = "HTTP/2.0"
)

// client is a client of net/http that changes nothing of what it gets.
func client(t testing.TB, v version) *http.Client {
	t.Helper()
	tr := &http.Transport{Protocols: protocols(v == http1, v == http2), DisableCompression: true, ExpectContinueTimeout: patience}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
}

// request makes a request; fields are names and values in turn.
func request(t testing.TB, method, url string, body io.Reader, fields ...string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(fields); i += 2 {
		r.Header.Add(fields[i], fields[i+1])
	}
	return r
}

// ask sends a request and returns the answer with all of its body.
func ask(t testing.TB, c *http.Client, r *http.Request) (*http.Response, string) {
	t.Helper()
	res, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("after %d bytes of the answer: %v", len(b), err)
	}
	return res, string(b)
}

// unsized hides how long a body is, so that it is sent in chunks.
func unsized(body string) io.Reader { return io.MultiReader(strings.NewReader(body)) }

// receive waits for what the other side of a test has to tell.
func receive[T any](t testing.TB, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		t.Fatal("the other side has nothing to tell")
		panic("not reached")
	}
}

// pattern is n bytes that repeat only after a prime number of them, so that a piece that is lost or doubled shows.
func pattern(n int) string {
	var b strings.Builder
	b.Grow(n)
	for i := range n {
		b.WriteByte('!' + byte(i%89))
	}
	return b.String()
}
