package relay_test

import (
	"bytes"
	"io"
	"net"
	"net/netip"
	"net/url"
	"testing"
	"time"

	"github.com/go-logr/logr"

	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/api/tracing"
	"github.com/bearerguard/bearerguard/sidecar/gate"
	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
	"github.com/bearerguard/bearerguard/sidecar/proxy/head"
	"github.com/bearerguard/bearerguard/sidecar/proxy/relay"
	"github.com/bearerguard/bearerguard/sidecar/telemetry"
)

const answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Type: text/plain\r\nDate: Mon, 02 Jan 2006 15:04:05 GMT\r\n\r\nhello"

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
				in, out, end := make([]byte, 64<<10), []byte(answer), []byte("\r\n\r\n")
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

// guarding is a relay with a policy that a token satisfies; requests get identity headers.
func guarding(t testing.TB, tracer *tracing.Tracer) (r *relay.Relay, token string) {
	t.Helper()
	corp := gatetest.NewIssuer("https://login.example.com", "k1")
	g := gate.New(gate.Options{})
	g.Swap(gatetest.Snapshot(t, time.Now, gatetest.Policy("orders", policy.Spec{
		Issuers: []policy.Issuer{corp.Policy("corp")},
		Rules: []policy.Rule{{
			Name: "read", Match: []policy.Match{{Paths: []string{"/orders/{id}"}, Methods: []string{"GET"}}},
			Allow: &policy.Allow{Conditions: policy.Conditions{Scopes: []string{"orders.read"}}},
		}},
		Forward: &policy.Forward{Headers: []policy.IdentityHeader{{Name: "X-User", Claim: "sub"}}},
	})))
	forwarded := 0
	r = relay.New(relay.Config{
		Gate: g, Log: logr.Discard(), Now: time.Now, Tracer: tracer,
		Observe: func(rec *telemetry.Record) {
			if rec.Forwarded {
				forwarded++
			}
		},
		Limits: relay.Limits{
			Head: head.Limits{Bytes: 64 << 10, Fields: 100}, ReadHead: 10 * time.Second, Idle: time.Minute, Dial: time.Second,
			Write: time.Minute, BodyRate: 100,
		},
	})
	t.Cleanup(r.Close)
	t.Cleanup(func() {
		if forwarded == 0 {
			t.Error("no request was let through")
		}
	})
	return r, corp.Token(time.Now(), map[string]any{"scope": "orders.read"})
}

// guarded is a client connection whose requests carry a token and are checked.
func guarded(t testing.TB) (c *net.TCPConn, request []byte) { return traced(t, nil) }

// traced is guarded with traces.
func traced(t testing.TB, tracer *tracing.Tracer) (c *net.TCPConn, request []byte) {
	t.Helper()
	r, token := guarding(t, tracer)
	c, server := pair(t)
	t.Cleanup(func() { _ = c.Close() })
	go r.Serve(server, relay.Info{Port: 80, Upstream: fastApp(t), Remote: netip.MustParseAddr("127.0.0.1")}, func() {})
	return c, []byte("GET /orders/7 HTTP/1.1\r\nHost: orders.shop\r\nUser-Agent: test/1.0\r\nAccept: */*\r\nAuthorization: Bearer " + token + "\r\n\r\n")
}

// ask sends the request and reads the answer.
func ask(t testing.TB, c *net.TCPConn, request, buf []byte) {
	if _, err := c.Write(request); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, buf[:len(answer)]); err != nil || !bytes.HasPrefix(buf, []byte("HTTP/1.1 200")) {
		t.Fatalf("%v %q", err, buf)
	}
}

func TestTheSteadyStateDoesNotAllocate(t *testing.T) { //nolint:paralleltest // counts all allocations of the process
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	c, request := guarded(t)
	buf := make([]byte, 4096)
	if n := testing.AllocsPerRun(2000, func() { ask(t, c, request, buf) }); n != 0 {
		t.Errorf("%v allocations a request", n)
	}
}

// nobody is a sink that drops spans.
type nobody struct{}

// Add implements tracing.Sink.
func (nobody) Add([]byte, int) {}

// A request that is not sampled costs no memory, whether or not it comes with a context.
func TestWhatIsNotSampledDoesNotAllocate(t *testing.T) { //nolint:paralleltest // counts all allocations of the process
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	c, request := traced(t, tracing.NewTracer(nobody{}, tracing.Options{PerSecond: 1}))
	buf := make([]byte, 4096)
	for _, field := range []string{"", "Traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00\r\n", "Traceparent: what\r\n"} {
		with := append(bytes.Clone(request[:len(request)-2]), field+"\r\n"...)
		if n := testing.AllocsPerRun(2000, func() { ask(t, c, with, buf) }); n != 0 {
			t.Errorf("%q: %v allocations a request", field, n)
		}
	}
}

func BenchmarkTraced(b *testing.B) {
	for name, ratio := range map[string]float64{"none": 0, "all": 1} {
		b.Run(name, func(b *testing.B) {
			c, request := traced(b, tracing.NewTracer(nobody{}, tracing.Options{Ratio: ratio, PerSecond: 1 << 30}))
			buf := make([]byte, 4096)
			b.ReportAllocs()
			for b.Loop() {
				ask(b, c, request, buf)
			}
		})
	}
}

func BenchmarkRelay(b *testing.B) {
	c, request := guarded(b)
	buf := make([]byte, 4096)
	b.ReportAllocs()
	for b.Loop() {
		ask(b, c, request, buf)
	}
}

// BenchmarkRefusal is a request that is refused for want of a token, which anybody can send.
func BenchmarkRefusal(b *testing.B) {
	c, request := guarded(b)
	buf := make([]byte, 4096)
	ask(b, c, request, buf)
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
