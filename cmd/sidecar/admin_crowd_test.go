package main

import (
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
)

// TestNobodyKeepsTheKubeletFromTheAdminPort has clients of a few addresses hold more connections to the admin port than it has, and ask no more
// after one request.
func TestNobodyKeepsTheKubeletFromTheAdminPort(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "orders.yaml", policyFor(gatetest.NewIssuer("https://corp.example", "one"), "clerk"))
	p := startServe(t, "--policies", dir)
	var opened int64
	var ended atomic.Int64
	for _, from := range []string{"127.0.0.2", "127.0.0.3", "127.0.0.4"} {
		for range adminLimits.Place + 20 {
			crowdIn(t, strings.TrimPrefix(p.admin, "http://"), from, &ended)
			opened++
		}
	}
	p.eventually(t, "there are no more than there may be", func() bool { return opened-ended.Load() <= int64(adminLimits.All) })
	kubelet := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // a connection of its own for each probe
	for range 10 {
		answer, err := kubelet.Get(p.admin + "/healthz")
		if err != nil {
			t.Fatal(err)
		}
		if _ = answer.Body.Close(); answer.StatusCode != http.StatusOK {
			t.Fatal(answer.Status)
		}
	}
}

// crowdIn opens a connection from an address, asks once, so that it is kept for long, and counts it once it is ended.
func crowdIn(t *testing.T, to, from string, ended *atomic.Int64) {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := d.DialContext(t.Context(), "tcp", to)
	if err != nil {
		t.Skipf("this system has no other addresses of loopback: %v", err)
	}
	t.Cleanup(func() { _ = c.Close() })
	go func() {
		_, _ = io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
		_, _ = io.Copy(io.Discard, c)
		ended.Add(1)
	}()
}
