package capture_test

import (
	"io"
	"net"
	"testing"

	"github.com/bearerguard/bearerguard/sidecar/capture"
	"github.com/bearerguard/bearerguard/sidecar/capture/capturetest"
)

func TestRedirect(t *testing.T) {
	if !capturetest.Inside(t) {
		return
	}
	client := capturetest.NewClient(t)
	listen(t, ":15080", original)
	listen(t, ":8080", text("app"))
	listen(t, ":22", text("ssh"))

	dials := []struct{ name, addr, want string }{
		{"IPv4 to the app's port", "10.9.0.1:8080", "sidecar for 10.9.0.1:8080"},
		{"IPv4 to a port nobody listens on", "10.9.0.1:9999", "sidecar for 10.9.0.1:9999"},
		{"IPv4 to an excluded port", "10.9.0.1:22", "ssh"},
		{"IPv4 to the sidecar itself", "10.9.0.1:15080", "sidecar for 10.9.0.1:15080"},
		{"IPv6 to the app's port", "[fd09::1]:8080", "sidecar for [fd09::1]:8080"},
		{"IPv6 to an excluded port", "[fd09::1]:22", "ssh"},
	}
	for range 2 { // installing it again changes nothing
		if err := capture.Install(capture.Config{To: 15080, Exclude: []uint16{22, 22, 15080}}); err != nil {
			t.Fatal(err)
		}
		for _, d := range dials {
			client.Do(func() {
				if got := capturetest.Exchange(d.addr, ""); got != d.want {
					t.Errorf("%s: got %q, want %q", d.name, got, d.want)
				}
			})
		}
		for _, addr := range []string{"127.0.0.1:8080", "[::1]:8080", "10.9.0.1:8080", "[fd09::1]:8080"} {
			if got := capturetest.Exchange(addr, ""); got != "app" {
				t.Errorf("from the pod itself to %s: got %q, want the app", addr, got)
			}
		}
	}

	if err := capture.Remove(); err != nil {
		t.Fatal(err)
	}
	client.Do(func() {
		if got := capturetest.Exchange("10.9.0.1:8080", ""); got != "app" {
			t.Errorf("after Remove: got %q, want the app", got)
		}
	})
}

func listen(t *testing.T, addr string, answer func(*net.TCPConn) string) net.Listener {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, answer(c.(*net.TCPConn)))
			_ = c.Close()
		}
	}()
	return l
}

func text(s string) func(*net.TCPConn) string {
	return func(*net.TCPConn) string { return s }
}

func original(c *net.TCPConn) string {
	dst, err := capture.OriginalDst(c)
	if err != nil {
		return err.Error()
	}
	return "sidecar for " + dst.String()
}
