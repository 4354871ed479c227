package relay_test

import (
	"context"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/sidecar/proxy/relay"
)

// sink is a ResponseWriter that keeps nothing and allocates nothing, so that what is counted is the relay's.
type sink struct {
	header http.Header
	status int
	bytes  int
}

func (s *sink) Header() http.Header { return s.header }

func (s *sink) WriteHeader(status int) { s.status = status }

func (s *sink) Write(b []byte) (int, error) { s.bytes += len(b); return len(b), nil }

// calling returns a function that has one request served that came in HTTP/2.
func calling(t testing.TB) func() {
	t.Helper()
	r, token := guarding(t, nil)
	h := r.NewHTTP2(relay.Info{Port: 80, Upstream: fastApp(t), Remote: netip.MustParseAddr("127.0.0.1")}, func(time.Time) {})
	t.Cleanup(h.Close)
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	request := (&http.Request{
		Method: "GET", RequestURI: "/orders/7", Host: "orders.shop", ProtoMajor: 2, Body: http.NoBody,
		Header: http.Header{"User-Agent": {"test/1.0"}, "Accept": {"*/*"}, "Authorization": {"Bearer " + token}},
	}).WithContext(ctx)
	s := &sink{header: http.Header{}}
	return func() {
		clear(s.header)
		s.bytes = 0
		if h.Serve(s, request); s.status != 200 || s.bytes != 5 || len(s.header) != 3 {
			t.Fatalf("got %d with %d bytes, %v", s.status, s.bytes, s.header)
		}
	}
}

// Two are for what the answer's fields say, the others for being told of the end of the request's context.
func TestRequestsOfHTTP2AllocateLittle(t *testing.T) { //nolint:paralleltest // counts all allocations of the process
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	if n := testing.AllocsPerRun(2000, calling(t)); n > 6 {
		t.Errorf("%v allocations a request", n)
	}
}

func BenchmarkHTTP2(b *testing.B) {
	call := calling(b)
	b.ReportAllocs()
	for b.Loop() {
		call()
	}
}

// refusing returns a function that has one request refused that came in HTTP/2 without a token.
func refusing(t testing.TB) func() {
	t.Helper()
	r, token := guarding(t, nil)
	h := r.NewHTTP2(relay.Info{Port: 80, Upstream: fastApp(t), Remote: netip.MustParseAddr("127.0.0.1")}, func(time.Time) {})
	t.Cleanup(h.Close)
	request := &http.Request{
		Method: "GET", RequestURI: "/orders/7", Host: "orders.shop", ProtoMajor: 2, Body: http.NoBody,
		Header: http.Header{"User-Agent": {"test/1.0"}, "Accept": {"*/*"}},
	}
	s := &sink{header: http.Header{}}
	let := request.Clone(t.Context())
	let.Header.Set("Authorization", "Bearer "+token)
	h.Serve(s, let)
	return func() {
		clear(s.header)
		if h.Serve(s, request); s.status != 401 {
			t.Fatalf("got %d", s.status)
		}
	}
}

// Anybody can have requests refused: they cost a list of fields and a value for each, the document and the request's id.
func TestRefusalsInHTTP2AllocateLittle(t *testing.T) { //nolint:paralleltest // counts all allocations of the process
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	if n := testing.AllocsPerRun(2000, refusing(t)); n > 8 {
		t.Errorf("%v allocations a refusal", n)
	}
}

// BenchmarkHTTP2Refusal is BenchmarkRefusal for a request that came in HTTP/2.
func BenchmarkHTTP2Refusal(b *testing.B) {
	refuse := refusing(b)
	b.ReportAllocs()
	for b.Loop() {
		refuse()
	}
}
