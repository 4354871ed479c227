package identity_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/go-logr/logr"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/keyset"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/sidecar/gate"
	"github.com/bearerguard/bearerguard/sidecar/proxy"
)

// guard runs a proxy with one policy in front of an app, and returns its URL. The keys of the policy's first issuer are given.
func guard(t *testing.T, spec policy.Spec, keys []byte) string {
	t.Helper()
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "the app") }))
	t.Cleanup(app.Close)
	set, err := keyset.Read(keys, keyset.ReadingOf(&spec.Issuers[0]))
	if err != nil {
		t.Fatal(err)
	}
	b := bundle.Assemble([]bundle.Object{{Namespace: "shop", Name: "orders", Spec: spec}},
		map[string]bundle.KeySet{bundle.SourceID("shop", spec.Issuers[0]): {JWKS: set.Canonical()}})
	s, err := gate.NewSnapshot(b, "test", gate.SnapshotOptions{})
	if err != nil {
		t.Fatal(err)
	}
	g := gate.New(gate.Options{})
	g.Swap(s)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	p, err := proxy.New(ctx, proxy.Config{
		Gate: g, Listen: []proxy.Listen{{Address: "127.0.0.1:0", Upstream: app.URL}}, Log: logr.Discard(),
		Limits: proxy.Limits{Drain: time.Second},
	})
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- p.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-stopped; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return "http://" + p.Addrs()[0].String()
}

// ask sends a request with a token and returns the status and the challenge.
func ask(t *testing.T, url, token string) (status int, challenge string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	return res.StatusCode, res.Header.Get("Www-Authenticate")
}
