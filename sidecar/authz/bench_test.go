package authz

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/bearerguard/bearerguard/sidecar/authz/checkv3"
)

// BenchmarkForwardAuth is a question about a token that is known, without the network.
func BenchmarkForwardAuth(b *testing.B) {
	f, _ := newForwardAuth(b, spec(), XForwarded)
	r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/", http.NoBody)
	r.Header = header(XForwarded, nil)
	b.ReportAllocs()
	for b.Loop() {
		w := httptest.NewRecorder()
		if f.ServeHTTP(w, r); w.Code != http.StatusOK {
			b.Fatal(w.Code)
		}
	}
}

// BenchmarkExtAuthz is the same of Envoy's, without the network.
func BenchmarkExtAuthz(b *testing.B) {
	e, _ := newExtAuthz(b, spec())
	c := check(true, nil)
	b.ReportAllocs()
	for b.Loop() {
		if out, err := e.Check(b.Context(), c); err != nil || out.GetOkResponse() == nil {
			b.Fatal(out, err)
		}
	}
}

// BenchmarkExtAuthzByGRPC is the same with a client of gRPC's, over loopback; it costs the client as well.
func BenchmarkExtAuthzByGRPC(b *testing.B) {
	addresses, _, _ := startServer(b, newGate(b, spec()), testLimits())
	conn, err := grpc.NewClient(addresses[0].String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	c := check(true, nil)
	b.ReportAllocs()
	for b.Loop() {
		out := new(checkv3.CheckResponse)
		if err := conn.Invoke(b.Context(), "/envoy.service.auth.v3.Authorization/Check", c, out); err != nil || out.GetOkResponse() == nil {
			b.Fatal(out, err)
		}
	}
}

// BenchmarkForwardAuthByHTTP is a question by HTTP/1.1 over loopback; it costs the client as well.
func BenchmarkForwardAuthByHTTP(b *testing.B) {
	addresses, _, _ := startServer(b, newGate(b, spec()), testLimits())
	r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, "http://"+addresses[1].String()+"/", http.NoBody)
	if err != nil {
		b.Fatal(err)
	}
	r.Header = header(XForwarded, nil)
	b.ReportAllocs()
	for b.Loop() {
		res, err := http.DefaultClient.Do(r)
		if err != nil || res.StatusCode != http.StatusOK {
			b.Fatal(res, err)
		}
		_ = res.Body.Close()
	}
}
