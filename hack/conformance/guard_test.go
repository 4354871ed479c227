// Package conformance runs other people's programs against the proxy: h2spec, gRPC's interoperability tests, a
// WebSocket library at both ends, and a matrix of HTTP clients and servers. It is a module of its own, so that none of
// what it takes gets into the product's go.mod.
package conformance

import (
	"context"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/go-logr/logr"

	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/sidecar/gate"
	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
	"github.com/bearerguard/bearerguard/sidecar/proxy"
)

// patience bounds what a program may take.
const patience = time.Minute

var corp = gatetest.NewIssuer("https://login.example.com", "k1")

// token is one that the policy lets in.
func token() string { return corp.Token(time.Now(), nil) }

// guard runs a proxy in front of an app and returns its address. Below /open everything is let through, elsewhere only
// what has a token.
func guard(t *testing.T, upstream string, changes ...func(*proxy.Config)) string {
	t.Helper()
	g := gate.New(gate.Options{})
	g.Swap(gatetest.Snapshot(t, nil, gatetest.Policy("all", policy.Spec{
		Issuers: []policy.Issuer{corp.Policy("corp")},
		Rules: []policy.Rule{
			{Name: "open", Match: []policy.Match{{Paths: []string{"/open/**"}}}, Allow: &policy.Allow{Anonymous: true}},
			{Name: "all", Match: []policy.Match{{Paths: []string{"/**"}}}, Allow: &policy.Allow{Authenticated: true}},
		},
	})))
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	c := proxy.Config{
		Gate: g, Listen: []proxy.Listen{{Address: "127.0.0.1:0", Upstream: upstream}}, Log: logr.Discard(),
		Limits: proxy.Limits{Drain: time.Second},
	}
	for _, change := range changes {
		change(&c)
	}
	p, err := proxy.New(ctx, c)
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
	return p.Addrs()[0].String()
}

// secure has the proxy speak TLS, with a certificate that nobody knows.
func secure(c *proxy.Config) {
	s := httptest.NewUnstartedServer(nil)
	s.StartTLS()
	defer s.Close()
	c.TLS = &tls.Config{Certificates: s.TLS.Certificates, MinVersion: tls.VersionTLS12}
}

// listen opens a socket on a port that is free.
func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// serve runs Go's own server for HTTP/1.1 and h2c and returns its address.
func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := &http.Server{
		Handler: h, ReadHeaderTimeout: patience, Protocols: &http.Protocols{},
		HTTP2:    &http.HTTP2Config{MaxConcurrentStreams: 250},
		ErrorLog: log.New(io.Discard, "", 0), // what is wrong with clients is the point here
	}
	s.Protocols.SetHTTP1(true)
	s.Protocols.SetUnencryptedHTTP2(true)
	l := listen(t)
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close() })
	return l.Addr().String()
}
