package main

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// TestNobodyCrowdsOthersOutOfTheControllersPorts has a few addresses hold more connections to each port than it has, after one request on each.
func TestNobodyCrowdsOthersOutOfTheControllersPorts(t *testing.T) {
	t.Parallel()
	clients, kubeconfig := apiServer(t)
	token := scraper(t, clients)
	stderr, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _ = stderr.Close(); t.Failed() {
			text, _ := os.ReadFile(stderr.Name())
			t.Logf("its log: %s", text)
		}
	})
	r := startReplica(t, kubeconfig, stderr)
	eventually(t, "it serves", func() bool {
		probe, _ := get(t, "http://"+r.health+"/readyz/webhooks", "")
		metrics, _ := get(t, "https://"+r.metrics+"/metrics", token)
		return probe == http.StatusOK && metrics == http.StatusOK
	})
	secure := &tls.Config{InsecureSkipVerify: true} //nolint:gosec // its own certificate
	for port, c := range map[string]struct {
		address string
		tls     *tls.Config
		asks    func() int
	}{
		"health":   {r.health, nil, func() int { code, _ := get(t, "http://"+r.health+"/readyz/webhooks", ""); return code }},
		"metrics":  {r.metrics, secure, func() int { code, _ := get(t, "https://"+r.metrics+"/metrics", token); return code }},
		"webhooks": {r.webhooks, secure, func() int { code, _ := get(t, "https://"+r.webhooks+"/", ""); return code }},
	} {
		t.Run(port, func(t *testing.T) {
			var opened int64
			var ended atomic.Int64
			before := c.asks()
			for _, from := range []string{"127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5", "127.0.0.6"} {
				for range portLimits.Place + 20 {
					crowdIn(t, c.address, from, c.tls, &ended)
					opened++
				}
			}
			eventually(t, "there are no more than there may be", func() bool { return opened-ended.Load() <= int64(portLimits.All) })
			eventually(t, "all who have come are served", func() bool { return c.asks() == before })
			for range 10 { // a connection of its own for each
				if code := c.asks(); code != before || code == 0 {
					t.Fatalf("another address is answered %d, before the crowd came %d", code, before)
				}
			}
		})
	}
	if text, err := os.ReadFile(stderr.Name()); err != nil || strings.Contains(string(text), "TLS handshake error") {
		t.Errorf("those who came have written the log (%v):\n%.1000s", err, text)
	}
}

// crowdIn opens a connection from an address, asks once, so that it is kept for long, and counts it once it is ended.
func crowdIn(t *testing.T, to, from string, secure *tls.Config, ended *atomic.Int64) {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := d.DialContext(t.Context(), "tcp", to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	go func() {
		asks := c
		if secure != nil {
			asks = tls.Client(c, secure)
		}
		_, _ = io.WriteString(asks, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
		_, _ = io.Copy(io.Discard, asks)
		ended.Add(1)
	}()
}
