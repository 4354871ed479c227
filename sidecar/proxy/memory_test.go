package proxy

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/credential"
	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/sidecar/gate"
	"github.com/bearerguard/bearerguard/sidecar/telemetry"
	tokens "github.com/bearerguard/bearerguard/sidecar/token"
)

// clerk is an endpoint that is asked about tokens. It answers once it is told to, that all are alice's.
type clerk struct {
	answer chan struct{}

	mu    sync.Mutex
	asked []string // guarded by mu
}

// Ask implements gate.Endpoint.
func (c *clerk) Ask(ctx context.Context, _ netip.Addr, raw string) (tokens.Answer, error) {
	c.mu.Lock()
	c.asked = append(c.asked, strings.Clone(raw))
	c.mu.Unlock()
	select {
	case <-c.answer:
	case <-ctx.Done():
	}
	return tokens.Answer{Body: fmt.Sprintf(`{"active":true,"sub":"alice","aud":"orders","exp":%d}`, time.Now().Add(time.Hour).Unix())}, nil
}

// gate is one whose issuer is asked at the clerk.
func (c *clerk) gate(t *testing.T) *gate.Gate {
	t.Helper()
	is := policy.Issuer{
		Name: "corp", Issuer: corp.URL, Audiences: []string{"orders"},
		Introspection: &policy.Introspection{URL: "https://corp.example.com/i", CredentialsSecretRef: policy.SecretRef{Name: "sidecar"}},
	}
	o := bundle.Object{Namespace: "shop", Name: "orders", Spec: policy.Spec{
		Issuers: []policy.Issuer{is}, Rules: []policy.Rule{{Name: "all", Allow: &policy.Allow{Authenticated: true}}},
	}}
	keys := map[string]bundle.KeySet{bundle.IntrospectionID("shop", is): {JWKS: credential.Credential{ClientID: "sidecar"}.Encode()}}
	s, err := gate.NewSnapshot(bundle.Assemble([]bundle.Object{o}, keys), "test", gate.SnapshotOptions{
		Endpoints: func([]gate.Asked) ([]gate.Endpoint, error) { return []gate.Endpoint{c}, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	g := gate.New(gate.Options{})
	g.Swap(s)
	return g
}

// While a request waits, others are read into the same memory. What is asked of its token, what the app gets and what is
// told of it are its own.
func TestWhatWaitsKeepsItsMemory(t *testing.T) {
	t.Parallel()
	const n = 200
	c := &clerk{answer: make(chan struct{})}
	var held atomic.Int64
	let := make(chan struct{})
	a := app(t, func(w http.ResponseWriter, r *http.Request) { // breaks off, so that there is something to tell
		held.Add(1)
		<-let
		_, number, _ := strings.Cut(r.URL.Path, "/docs/")
		if r.Header.Get("Authorization") != "Bearer opaque-"+number {
			t.Errorf("%s came with another's token", r.URL.Path)
		}
		conn, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			_ = conn.Close()
		}
	})
	var mu sync.Mutex
	told := map[string]int{}
	g := protect(t, a.URL, func(cfg *Config) {
		cfg.Gate = c.gate(t)
		cfg.Observer = observing(func(r *telemetry.Record) {
			mu.Lock()
			defer mu.Unlock()
			told[fmt.Sprint(r.Reason, " ", r.Method, " ", r.Path)]++
		})
	})
	conns := make([]net.Conn, n)
	for i := range conns {
		conns[i] = dial(t, g.addr)
	}
	round := func(wait func()) {
		for i, conn := range conns {
			_, _ = fmt.Fprintf(conn, "POST /docs/%04d HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer opaque-%04d\r\nContent-Length: 0\r\n\r\n", i, i)
		}
		wait()
		for i, conn := range conns {
			res, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, res.Body)
			if res.StatusCode != http.StatusBadGateway {
				t.Errorf("request %d: %s", i, res.Status)
			}
		}
	}
	round(func() {
		eventually(t, "some are asked about", func() bool {
			c.mu.Lock()
			defer c.mu.Unlock()
			return len(c.asked) > 0
		})
		close(c.answer)
		eventually(t, "all are at the app", func() bool { return held.Load() == n })
		close(let)
	})
	let, held = make(chan struct{}), atomic.Int64{}
	round(func() { // the tokens are known now
		eventually(t, "all are at the app", func() bool { return held.Load() == n })
		close(let)
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	mu.Lock()
	defer mu.Unlock()
	for i := range n {
		for _, reason := range []string{"Allowed", "UpstreamUnavailable"} {
			if line := fmt.Sprintf("%s POST /docs/%04d", reason, i); told[line] != 2 {
				t.Errorf("told %d times, not twice: %s", told[line], line)
			}
		}
	}
	slices.Sort(c.asked)
	if len(c.asked) != n || len(slices.Compact(c.asked)) != n || c.asked[0] != "opaque-0000" {
		t.Errorf("asked about %d tokens: %q", len(c.asked), c.asked)
	}
}

// Who leaves before the verdict is there has been refused nothing.
func TestWhoLeavesWhileTheIssuerIsAskedIsNotRefused(t *testing.T) {
	t.Parallel()
	c := &clerk{answer: make(chan struct{})}
	g := protect(t, echo(t).URL, func(o *Config) { o.Gate = c.gate(t) })
	left := dial(t, g.addr)
	_, _ = fmt.Fprint(left, "GET /a HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer opaque-1\r\n\r\n")
	until(t, "the issuer is asked", patience, func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return len(c.asked) > 0
	})
	_ = left.Close()
	until(t, "the client has left", patience, func() bool { return g.observer.open() == 0 })
	close(c.answer)
	if res, _ := ask(t, client(t, false), request(t, "GET", "http://"+g.addr+"/a", nil, "Authorization", "Bearer opaque-2")); res.StatusCode != 200 {
		t.Fatalf("another request: %s", res.Status)
	}
	until(t, "there is a record", patience, func() bool { return len(g.observer.reasons()) > 0 })
	if got := g.observer.reasons(); !slices.Equal(got, []string{string(decision.Allowed)}) {
		t.Errorf("the records say %v", got)
	}
}
