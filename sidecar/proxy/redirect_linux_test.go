package proxy

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/bearerguard/bearerguard/sidecar/capture"
	"github.com/bearerguard/bearerguard/sidecar/capture/capturetest"
)

// The whole of redirect mode: whatever port of the pod a client dials, the proxy judges and forwards to the address and port
// that were dialled. What was not reachable before stays so, and what the proxy sends is not captured again.
func TestRedirectMode(t *testing.T) {
	if !capturetest.Inside(t) {
		return
	}
	client := capturetest.NewClient(t)
	serveAt(t, "10.9.0.1:8080")
	serveAt(t, "[::]:9090")
	serveAt(t, "127.0.0.1:7070")
	serveAt(t, "[::1]:7070")
	serveAt(t, "[fd09::1]:6060")
	if err := capture.Install(capture.Config{To: 15080}); err != nil {
		t.Fatal(err)
	}
	guard := protect(t, "", func(c *Config) { c.Listen = []Listen{{Address: ":15080", Redirect: true}} })
	questions := []question{
		{"10.9.0.1:8080", "/docs/a", "200", "app at 10.9.0.1:8080 for 10.9.0.2 port 8080"},
		{"10.9.0.1:9090", "/docs/a", "200", "app at [::]:9090 for 10.9.0.2 port 9090"},
		{"[fd09::1]:9090", "/docs/a", "200", "app at [::]:9090 for fd09::2 port 9090"},
		{"[fd09::1]:6060", "/docs/a", "200", "app at [fd09::1]:6060 for fd09::2 port 6060"},
		{"10.9.0.1:8080", "/orders/1", "401", "NoToken"},
		{"10.9.0.1:7070", "/docs/a", "502", "UpstreamUnavailable"},  // it listens on loopback alone
		{"[fd09::1]:7070", "/docs/a", "502", "UpstreamUnavailable"}, // as well
		{"[fd09::1]:8080", "/docs/a", "502", "UpstreamUnavailable"}, // it listens on the other address
		{"10.9.0.1:7777", "/docs/a", "502", "UpstreamUnavailable"},  // nothing listens there
		{"10.9.0.1:7777", "/orders/1", "401", "NoToken"},
		{"10.9.0.1:15080", "/docs/a", "", ""}, // the sidecar's own port leads nowhere
		{"10.77.0.1:9090", "/docs/a", "", ""}, // an address that is not the pod's
	}
	askAll(t, client, questions)
	guard.stop()
	guard.stopped <- <-guard.stopped
	if got := guard.observer.total(); got != len(questions) {
		t.Errorf("%d connections came to the proxy for %d of clients: it has captured its own", got, len(questions))
	}
}

// Streams go to the app over h2c by another transport, which dials what the client dialled too.
func TestRedirectModeOverH2C(t *testing.T) {
	if !capturetest.Inside(t) {
		return
	}
	client := capturetest.NewClient(t)
	serveAt(t, "10.9.0.1:8080")
	serveAt(t, "127.0.0.1:7070")
	if err := capture.Install(capture.Config{To: 15080}); err != nil {
		t.Fatal(err)
	}
	protect(t, "", func(c *Config) {
		c.Listen, c.AppProtocol = []Listen{{Address: ":15080", Redirect: true}}, AppH2C
	})
	for addr, want := range map[string]string{
		"10.9.0.1:8080": "app at 10.9.0.1:8080 for 10.9.0.2 port 8080", "10.9.0.1:7070": "UpstreamUnavailable",
	} {
		client.Do(func() {
			if got := capturetest.Exchange(addr, http2Get(t, "/docs/a")); !strings.Contains(got, want) {
				t.Errorf("%s: %q, want %q", addr, got, want)
			}
		})
	}
}

// http2Get is all that a client says which asks for one thing over HTTP/2 and then goes.
func http2Get(t *testing.T, path string) string {
	t.Helper()
	var out, block bytes.Buffer
	out.WriteString(http2.ClientPreface)
	f, enc := http2.NewFramer(&out, nil), hpack.NewEncoder(&block)
	for _, h := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":authority", "a"}, {":path", path}} {
		if err := enc.WriteField(hpack.HeaderField{Name: h[0], Value: h[1]}); err != nil {
			t.Error(err)
		}
	}
	if err := errors.Join(f.WriteSettings(), f.WriteHeaders(http2.HeadersFrameParam{
		StreamID: 1, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true,
	}), f.WriteGoAway(0, http2.ErrCodeNo, nil)); err != nil {
		t.Error(err)
	}
	return out.String()
}

// What the configuration says of the app's address takes the place of what the client dialled.
func TestRedirectModeToAnotherAddress(t *testing.T) {
	if !capturetest.Inside(t) {
		return
	}
	client := capturetest.NewClient(t)
	if err := capture.Install(capture.Config{To: 15080, Exclude: []uint16{15081}}); err != nil {
		t.Fatal(err)
	}
	for _, app := range []string{"127.0.0.1", "10.9.0.1", "::1", "fd09::1"} {
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
		s := http.Server{Protocols: new(http.Protocols), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { //nolint:gosec // a test
			_, _ = fmt.Fprintf(w, "app at %s for %s port %s", addr, r.Header.Get("X-Forwarded-For"), r.Header.Get("X-Forwarded-Port"))
		})}
		s.Protocols.SetHTTP1(true)
		s.Protocols.SetUnencryptedHTTP2(true)
		_ = s.Serve(l)
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
