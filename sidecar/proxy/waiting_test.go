package proxy

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/sidecar/gate"
	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
)

// waits is a gate whose keys never come, and which counts who waits for them.
func waits(t *testing.T) (g *gate.Gate, asked *atomic.Int32) {
	t.Helper()
	asked = &atomic.Int32{}
	g = gate.New(gate.Options{KeyWait: time.Hour, OnUnknownKey: func(string) (time.Duration, bool) { asked.Add(1); return 0, true }})
	g.Swap(gatetest.Fetched(t, orders(), corp))
	return g, asked
}

func unknown() string { return gatetest.NewIssuer(corp.URL, "new").Token(time.Now(), nil) }

func until(t *testing.T, what string, within time.Duration, ok func() bool) {
	t.Helper()
	end := time.After(within)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-end:
			t.Fatalf("%s: not within %s", what, within)
		case <-tick.C:
		}
	}
}

func TestARequestThatWaitsForKeysEndsWithItsClient(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		tls    bool
		behind string // is sent after the request
		leave  func(net.Conn) error
	}{
		"it closes": {leave: net.Conn.Close},
		"it closes, and has sent the next request": {behind: "GET /docs/a HTTP/1.1\r\nHost: x\r\n\r\n", leave: net.Conn.Close},
		"it resets": {leave: func(c net.Conn) error { _ = c.(*net.TCPConn).SetLinger(0); return c.Close() }},
		"it closes its side, and for a while nothing": {leave: func(c net.Conn) error { return c.(*net.TCPConn).CloseWrite() }},
		"it closes TLS": {tls: true, leave: net.Conn.Close},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g, asked := waits(t)
			p := protect(t, echo(t).URL, func(c *Config) {
				if c.Gate = g; test.tls {
					c.TLS = certificate(t)
				}
			})
			c := dial(t, p.addr)
			if test.tls {
				c = tls.Client(c, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // a test
			}
			if _, err := fmt.Fprintf(c, "GET /orders/1 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n%s", unknown(), test.behind); err != nil {
				t.Fatal(err)
			}
			until(t, "the keys are asked for", patience, func() bool { return asked.Load() > 0 })
			if n := len(p.observer.reasons()); n > 0 {
				t.Fatalf("answered at once, %s", p.observer.reasons())
			}
			if err := test.leave(c); err != nil {
				t.Fatal(err)
			}
			until(t, "the wait ends", patience, func() bool { return len(p.observer.reasons()) > 0 })
			if got := p.observer.reasons()[0]; got != string(decision.UnknownKey) {
				t.Errorf("reason %s", got)
			}
		})
	}
}

func TestARequestThatWaitsForKeysHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	for name, appProtocol := range map[string]AppProtocol{"HTTP/1.1 to the app": AppHTTP1, "HTTP/2 to the app": AppH2C} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g, asked := waits(t)
			p := protect(t, echo(t).URL, func(c *Config) { c.Gate, c.AppProtocol, c.Limits.Streams = g, appProtocol, 40 })
			c := client(t, true) // one connection for all
			if res, _ := ask(t, c, request(t, "GET", "http://"+p.addr+"/orders/1", nil, "Authorization", "Bearer "+token())); res.StatusCode != http.StatusOK {
				t.Fatalf("before: %d", res.StatusCode)
			}
			ctx, cancel := context.WithCancel(t.Context())
			var all sync.WaitGroup
			var refused atomic.Int32
			for i := range 30 { // of 40 streams
				all.Go(func() {
					forged := gatetest.NewIssuer(corp.URL, fmt.Sprint("made-up-", i)).Token(time.Now(), nil)
					r := request(t, "GET", "http://"+p.addr+"/orders/1", nil, "Authorization", "Bearer "+forged).WithContext(ctx)
					if res, err := c.Do(r); err == nil {
						_, _ = io.Copy(io.Discard, res.Body)
						_ = res.Body.Close()
						refused.Add(1)
					}
				})
			}
			until(t, "all have asked, and those who find no place are refused", patience, func() bool { return asked.Load() >= 30 && refused.Load() >= 10 })
			for range 20 {
				res, _ := ask(t, c, request(t, "GET", "http://"+p.addr+"/orders/1", nil, "Authorization", "Bearer "+token()))
				if res.StatusCode != http.StatusOK {
					t.Errorf("beside requests that wait: %d", res.StatusCode)
				}
			}
			if n := refused.Load(); n != 10 {
				t.Errorf("%d of 30 refused at once; want half of the connection's streams to wait", n)
			}
			cancel() // the waits end with their streams
			all.Wait()
			until(t, "the waits end with their streams", patience, func() bool { return len(p.observer.reasons()) >= 30+21 })
		})
	}
}
