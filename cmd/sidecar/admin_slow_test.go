package main

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// pipes is a listener whose connections hold nothing back: what one end writes, the other must read.
type pipes struct {
	made   chan net.Conn
	closed chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.made:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { close(p.closed); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

// ask sends a question and reads nothing.
func (p *pipes) ask(t *testing.T, path string) net.Conn {
	t.Helper()
	ours, theirs := net.Pipe()
	p.made <- theirs
	if _, err := io.WriteString(ours, "GET "+path+" HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	return ours
}

// TestWhoReadsNoMetricsKeepsThemFromNobodyForLong has as many ask for metrics as may at once, and read nothing.
func TestWhoReadsNoMetricsKeepsThemFromNobodyForLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &sidecar{reg: prometheus.NewRegistry()}
		s.reg.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: "large", Help: strings.Repeat("x", 64<<10)}))
		server, lis := s.adminServer(), &pipes{made: make(chan net.Conn), closed: make(chan struct{})}
		go func() { _ = server.Serve(lis) }()
		defer func() { _ = server.Close() }()
		status := func() int {
			c := lis.ask(t, "/metrics")
			defer func() { _ = c.Close() }()
			response, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, response.Body)
			return response.StatusCode
		}
		for range scrapes {
			defer func(c net.Conn) { _ = c.Close() }(lis.ask(t, "/metrics"))
		}
		synctest.Wait()
		if got := status(); got != http.StatusServiceUnavailable {
			t.Errorf("while all read slowly: %d, want 503", got)
		}
		<-time.After(takes)
		synctest.Wait()
		if got := status(); got != http.StatusOK {
			t.Errorf("after %s: %d, want 200", takes, got)
		}
	})
}
