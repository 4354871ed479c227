package proxy

import (
	"fmt"
	"net"
	"net/http"
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
	for _, addr := range []string{"127.0.0.1:8080", "127.0.0.1:9090"} {
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
	if err := capture.Install(capture.Config{To: 15080}); err != nil {
		t.Fatal(err)
	}
	protect(t, "", func(c *Config) { c.Listen = []Listen{{Address: ":15080", Redirect: true}} })
	for _, tt := range []struct{ addr, path, status, body string }{
		{"10.9.0.1:8080", "/docs/a", "200", "app at 127.0.0.1:8080 for 10.9.0.2 port 8080"},
		{"10.9.0.1:9090", "/docs/a", "200", "app at 127.0.0.1:9090 for 10.9.0.2 port 9090"},
		{"[fd09::1]:9090", "/docs/a", "200", "app at 127.0.0.1:9090 for fd09::2 port 9090"},
		{"10.9.0.1:8080", "/orders/1", "401", "NoToken"},
		{"10.9.0.1:7777", "/docs/a", "502", "UpstreamUnavailable"},
		{"10.9.0.1:7777", "/orders/1", "401", "NoToken"},
		{"10.9.0.1:15080", "/docs/a", "", ""}, // the sidecar's own port leads nowhere
	} {
		client.Do(func() {
			got := capturetest.Exchange(tt.addr, "GET "+tt.path+" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
			if !strings.HasPrefix(got, "HTTP/1.1 "+tt.status) && tt.status != "" || !strings.Contains(got, tt.body) || tt.status == "" && strings.Contains(got, "HTTP") {
				t.Errorf("%s %s: %q, want %s %s", tt.addr, tt.path, got, tt.status, tt.body)
			}
		})
	}
}
