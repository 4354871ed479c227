package main

import (
	"errors"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
)

// TestNobodyKeepsTheKubeletFromTheAdminPort has clients of a few addresses hold more connections to the admin port than it has, and say nothing.
func TestNobodyKeepsTheKubeletFromTheAdminPort(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "orders.yaml", policyFor(gatetest.NewIssuer("https://corp.example", "one"), "clerk"))
	p := startServe(t, "--policies", dir)
	var ended int
	for _, from := range []string{"127.0.0.2", "127.0.0.3", "127.0.0.4"} {
		ended += crowdIn(t, strings.TrimPrefix(p.admin, "http://"), from, adminLimits.Place+20)
	}
	if want := 60; ended < want {
		t.Errorf("%d connections have been ended, want %d at least", ended, want)
	}
	for range 10 {
		if got := p.get(t, p.admin+"/healthz", ""); got != http.StatusOK {
			t.Fatalf("healthz = %d, want 200", got)
		}
	}
}

// crowdIn opens n connections from an address, of which it keeps those that are not closed at once. It returns how many are.
func crowdIn(t *testing.T, to, from string, n int) int {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	conns := make([]net.Conn, n)
	for i := range conns {
		c, err := d.DialContext(t.Context(), "tcp", to)
		if err != nil {
			t.Skipf("this system has no other addresses of loopback: %v", err)
		}
		conns[i] = c
		t.Cleanup(func() { _ = c.Close() })
	}
	var closed atomic.Int64
	var all sync.WaitGroup
	until := time.Now().Add(time.Second)
	for _, c := range conns {
		all.Go(func() {
			_ = c.SetReadDeadline(until)
			if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
				closed.Add(1)
			}
		})
	}
	all.Wait()
	return int(closed.Load())
}
