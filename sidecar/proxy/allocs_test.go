package proxy

import (
	"bytes"
	"io"
	"net"
	"net/netip"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/api/tracing"
	"github.com/bearerguard/bearerguard/sidecar/gate"
	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
	"github.com/bearerguard/bearerguard/sidecar/proxy/exchange"
	"github.com/bearerguard/bearerguard/sidecar/telemetry"
)

const fastAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Type: text/plain\r\nDate: Mon, 02 Jan 2006 15:04:05 GMT\r\n\r\nhello"

// fastApp answers every head with the same bytes and allocates nothing.
func fastApp(t testing.TB) *url.URL {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				in, out, end := make([]byte, 64<<10), []byte(fastAnswer), []byte("\r\n\r\n")
				for n := 0; ; {
					got, err := c.Read(in[n:])
					if err != nil {
						return
					}
					if n += got; bytes.HasSuffix(in[:n], end) {
						n = 0
						if _, err := c.Write(out); err != nil {
							return
						}
					}
				}
			}()
		}
	}()
	return &url.URL{Scheme: "http", Host: l.Addr().String()}
}

// traced is a client connection whose requests carry a token that satisfies a policy, and are given identity headers.
func traced(t testing.TB, tracer *tracing.Tracer) (c *net.TCPConn, request []byte) {
	t.Helper()
	forwarded := &atomic.Int64{}
	p := serving(t, Config{Tracer: tracer, Observer: observing(func(rec *telemetry.Record) {
		if rec.Forwarded {
			forwarded.Add(1)
		}
	})}, gatetest.Policy("orders", policy.Spec{
		Issuers: []policy.Issuer{corp.Policy("corp")},
		Rules: []policy.Rule{{
			Name: "read", Match: []policy.Match{{Paths: []string{"/orders/{id}"}, Methods: []string{"GET"}}},
			Allow: &policy.Allow{Conditions: policy.Conditions{Scopes: []string{"orders.read"}}},
		}},
		Forward: &policy.Forward{Headers: []policy.IdentityHeader{{Name: "X-User", Claim: "sub"}}},
	}))
	t.Cleanup(func() {
		if forwarded.Load() == 0 {
			t.Error("no request was let through")
		}
	})
	c, server := pair(t)
	t.Cleanup(func() { _ = c.Close() })
	p.loops.serve(server, exchange.Info{Port: 80, Upstream: fastApp(t), Remote: netip.MustParseAddr("127.0.0.1")}, func(netip.Addr) {})
	token := corp.Token(time.Now(), map[string]any{"scope": "orders.read"})
	return c, []byte("GET /orders/7 HTTP/1.1\r\nHost: orders.shop\r\nUser-Agent: test/1.0\r\nAccept: */*\r\nAuthorization: Bearer " + token + "\r\n\r\n")
}

// guarded is traced without traces.
func guarded(t testing.TB) (c *net.TCPConn, request []byte) { return traced(t, nil) }

// observing is an observer that is told of requests alone.
type observing func(*telemetry.Record)

// Request implements Observer.
func (o observing) Request(r *telemetry.Record) {
	if o != nil {
		o(r)
	}
}

// Connection implements Observer.
func (observing) Connection(int) {}

// serving is a proxy that accepts nothing: connections are given to it.
func serving(t testing.TB, c Config, policies ...bundle.Object) *Proxy {
	t.Helper()
	g := gate.New(gate.Options{})
	g.Swap(gatetest.Snapshot(t, time.Now, policies...))
	c.Gate, c.Listen = g, []Listen{{Address: "127.0.0.1:0", Upstream: "http://127.0.0.1:1"}}
	if c.Log.IsZero() {
		c.Log = logr.Discard()
	}
	p, err := New(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.sockets.close()
		p.loops.close()
	})
	return p
}

// askRaw sends the request and reads the answer.
func askRaw(t testing.TB, c *net.TCPConn, request, buf []byte) {
	if _, err := c.Write(request); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, buf[:len(fastAnswer)]); err != nil || !bytes.HasPrefix(buf, []byte("HTTP/1.1 200")) {
		t.Fatalf("%v %q", err, buf)
	}
}

func TestTheSteadyStateDoesNotAllocate(t *testing.T) { //nolint:paralleltest // counts all allocations of the process
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	c, request := guarded(t)
	buf := make([]byte, 4096)
	if n := testing.AllocsPerRun(2000, func() { askRaw(t, c, request, buf) }); n != 0 {
		t.Errorf("%v allocations a request", n)
	}
}

// dropped is a sink that drops spans.
type dropped struct{}

// Add implements tracing.Sink.
func (dropped) Add([]byte, int) {}

// A request that is not sampled costs no memory, whether or not it comes with a context.
func TestWhatIsNotSampledDoesNotAllocate(t *testing.T) { //nolint:paralleltest // counts all allocations of the process
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	c, request := traced(t, tracing.NewTracer(dropped{}, tracing.Options{PerSecond: 1}))
	buf := make([]byte, 4096)
	for _, field := range []string{"", "Traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00\r\n", "Traceparent: what\r\n"} {
		with := append(bytes.Clone(request[:len(request)-2]), field+"\r\n"...)
		if n := testing.AllocsPerRun(2000, func() { askRaw(t, c, with, buf) }); n != 0 {
			t.Errorf("%q: %v allocations a request", field, n)
		}
	}
}

func BenchmarkTraced(b *testing.B) {
	for name, ratio := range map[string]float64{"none": 0, "all": 1} {
		b.Run(name, func(b *testing.B) {
			c, request := traced(b, tracing.NewTracer(dropped{}, tracing.Options{Ratio: ratio, PerSecond: 1 << 30}))
			buf := make([]byte, 4096)
			b.ReportAllocs()
			for b.Loop() {
				askRaw(b, c, request, buf)
			}
		})
	}
}

func BenchmarkHTTP1(b *testing.B) {
	c, request := guarded(b)
	buf := make([]byte, 4096)
	b.ReportAllocs()
	for b.Loop() {
		askRaw(b, c, request, buf)
	}
}

// BenchmarkRefusal is a request that is refused for want of a token, which anybody can send.
func BenchmarkRefusal(b *testing.B) {
	c, request := guarded(b)
	buf := make([]byte, 4096)
	askRaw(b, c, request, buf)
	request = []byte("GET /orders/7 HTTP/1.1\r\nHost: orders.shop\r\nUser-Agent: test/1.0\r\nAccept: */*\r\n\r\n")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Write(request); err != nil {
			b.Fatal(err)
		}
		n, err := c.Read(buf)
		if err != nil || !bytes.HasPrefix(buf, []byte("HTTP/1.1 401")) || buf[n-1] != '\n' {
			b.Fatalf("%v %q", err, buf[:n])
		}
	}
}
