package proxy

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/sidecar/capture"
	"github.com/bearerguard/bearerguard/sidecar/capture/capturetest"
)

// The whole of redirect mode: whatever port of the pod a client dials, the proxy judges and forwards to that port on
// loopback, where alone the apps listen.
func TestRedirectMode(t *testing.T) {
	if !capturetest.Inside(t) {
		return
	}
	client := capturetest.NewClient(t)
	serveAt(t, "127.0.0.1:8080")
	serveAt(t, "127.0.0.1:9090")
	if err := capture.Install(capture.Config{To: 15080}); err != nil {
		t.Fatal(err)
	}
	protect(t, "", func(c *Config) { c.Listen = []Listen{{Address: ":15080", Redirect: true}} })
	askAll(t, client, []question{
		{"10.9.0.1:8080", "/docs/a", "200", "app at 127.0.0.1:8080 for 10.9.0.2 port 8080"},
		{"10.9.0.1:9090", "/docs/a", "200", "app at 127.0.0.1:9090 for 10.9.0.2 port 9090"},
		{"[fd09::1]:9090", "/docs/a", "200", "app at 127.0.0.1:9090 for fd09::2 port 9090"},
		{"10.9.0.1:8080", "/orders/1", "401", "NoToken"},
		{"10.9.0.1:7777", "/docs/a", "502", "UpstreamUnavailable"},
		{"10.9.0.1:7777", "/orders/1", "401", "NoToken"},
		{"10.9.0.1:15080", "/docs/a", "", ""}, // the sidecar's own port leads nowhere
	})
}

// Apps that listen on one address of the pod alone are reached there, and what the proxy sends them is not captured again.
func TestRedirectModeToAnotherAddress(t *testing.T) {
	if !capturetest.Inside(t) {
		return
	}
	client := capturetest.NewClient(t)
	if err := capture.Install(capture.Config{To: 15080, Exclude: []uint16{15081}}); err != nil {
		t.Fatal(err)
	}
	for _, app := range []string{"10.9.0.1", "::1", "fd09::1"} {
		address := netip.MustParseAddr(app)
		serveAt(t, netip.AddrPortFrom(address, 8080).String())
		guard := protect(t, "", func(c *Config) { c.Listen = []Listen{{Address: ":15080", Redirect: true, AppAddress: address}} })
		askAll(t, client, []question{
			{"10.9.0.1:8080", "/docs/a", "200", "app at " + netip.AddrPortFrom(address, 8080).String() + " for 10.9.0.2 port 8080"},
			{"[fd09::1]:8080", "/docs/a", "200", "app at " + netip.AddrPortFrom(address, 8080).String() + " for fd09::2 port 8080"},
			{"10.9.0.1:8080", "/orders/1", "401", "NoToken"},
			{"10.9.0.1:7777", "/docs/a", "502", "UpstreamUnavailable"},
		})
		guard.stop()
		guard.stopped <- <-guard.stopped
	}
}

// serveAt runs an app that tells where it is and what it was told.
func serveAt(t *testing.T, addr string) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		_ = http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { //nolint:gosec // a test
			_, _ = fmt.Fprintf(w, "app at %s for %s port %s", addr, r.Header.Get("X-Forwarded-For"), r.Header.Get("X-Forwarded-Port"))
		}))
	}()
}

// question is a request and what is to come of it; no status: nothing.
type question struct{ addr, path, status, body string }

func askAll(t *testing.T, client *capturetest.Client, questions []question) {
	t.Helper()
	for _, tt := range questions {
		client.Do(func() {
			got := capturetest.Exchange(tt.addr, "GET "+tt.path+" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
			if !strings.HasPrefix(got, "HTTP/1.1 "+tt.status) && tt.status != "" || !strings.Contains(got, tt.body) || tt.status == "" && strings.Contains(got, "HTTP") {
				t.Errorf("%s %s: %q, want %s %s", tt.addr, tt.path, got, tt.status, tt.body)
			}
		})
	}
}
