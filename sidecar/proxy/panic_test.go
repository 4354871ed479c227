package proxy

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"

	"github.com/bearerguard/bearerguard/sidecar/proxy/exchange"
	"github.com/bearerguard/bearerguard/sidecar/telemetry"
)

// A panic ends the connection that it happens on, with a reset, and no other; the log says where and quotes no request.
func TestPanicEndsOneConnection(t *testing.T) {
	t.Parallel()
	a := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(w, r.Body)
	}))
	t.Cleanup(a.Close)
	upstream, _ := url.Parse(a.URL)
	var log strings.Builder
	p := open(t, Config{Log: funcr.New(func(_, args string) { log.WriteString(args) }, funcr.Options{}), Observer: observing(func(rec *telemetry.Record) {
		if strings.HasPrefix(rec.Path, "/canary") {
			panic("canary")
		}
	})})
	ended := make(chan struct{}, 2)
	serve := func() net.Conn {
		c, server := pair(t)
		t.Cleanup(func() { _ = c.Close() })
		_ = c.SetDeadline(time.Now().Add(patience))
		p.loops.serve(server, exchange.Info{Port: 80, Upstream: upstream, Remote: netip.MustParseAddr("127.0.0.1")}, func(netip.Addr) { ended <- struct{}{} })
		return c
	}
	other, c := serve(), serve()
	_, _ = io.WriteString(c, "GET /canary HTTP/1.1\r\nHost: a\r\nX: canary\r\n\r\n")
	if b, err := io.ReadAll(c); err == nil || len(b) > 0 {
		t.Errorf("got %q, %v; want a reset", b, err)
	}
	<-ended
	if got := log.String(); !strings.Contains(got, "panic while serving") || !strings.Contains(got, "panic_test.go") || strings.Contains(got, "canary") {
		t.Errorf("log: %s", got)
	}
	_, _ = io.WriteString(other, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
	if b, err := io.ReadAll(other); err != nil || !strings.HasSuffix(string(b), "\r\n\r\nok") {
		t.Errorf("another connection: %q, %v", b, err)
	}
	<-ended
}

// One that happens before a connection is served gives its places back, once.
func TestPanicBeforeAConnectionIsServed(t *testing.T) {
	t.Parallel()
	p := open(t, Config{TLS: certificate(t)})
	for name, do := range map[string]func(*entrant){
		"at once": func(*entrant) { panic("canary") },
		"where the handshake begins": func(e *entrant) {
			e.h.shaking = nil // which the handshake is written to
			e.shakeHands()
		},
	} {
		c, server := pair(t)
		t.Cleanup(func() { _ = c.Close() })
		ended := make(chan struct{}, 2)
		p.loops.handshakes.take(func() {
			p.loops.take(server, &entrant{ls: p.loops, left: func(netip.Addr) { ended <- struct{}{} }, shaking: true}, do)
		}, nil, nil)
		select {
		case <-ended:
		case <-time.After(patience):
			t.Errorf("%s: nobody is told of the end", name)
			continue
		}
		p.loops.handshakes.mu.Lock()
		if n := p.loops.handshakes.taken; n != 0 || len(ended) > 0 {
			t.Errorf("%s: %d handshakes are under way", name, n)
		}
		p.loops.handshakes.mu.Unlock()
	}
}
