package proxy

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"net/url"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
	"github.com/bearerguard/bearerguard/sidecar/proxy/exchange"
)

// calls2 is a client of HTTP/2 that makes one request after the other, and allocates nothing.
type calls2 struct {
	net.Conn
	request []byte
	at      []int // of numbers of streams
	id      uint32
	status  byte // the first byte of the answer's field block
	in      [64 << 10]byte
	read    int // bytes of data since windows were opened
}

// newCalls2 returns a client whose requests have fields and a body, in one write.
func newCalls2(t testing.TB, p *Proxy, upstream *url.URL, body string, fields ...string) *calls2 {
	t.Helper()
	c, server := pair(t)
	t.Cleanup(func() { _ = c.Close() })
	p.loops.serve(server, exchange.Info{Port: 80, Upstream: upstream, Remote: netip.MustParseAddr("127.0.0.1")}, func(netip.Addr) {})
	k := &calls2{Conn: c}
	_, _ = io.WriteString(c, http2.ClientPreface)
	_ = http2.NewFramer(c, nil).WriteSettings()
	first, next := twice(func(b *frames2) {
		b.head(body == "", fields...)
		if body != "" {
			b.data(body, true)
		}
	})
	k.request, k.at, k.id = first.Bytes(), first.at, 1
	k.call(t)
	k.request, k.at = next.Bytes(), next.at
	return k
}

// frames2 are frames on one stream.
type frames2 struct {
	bytes.Buffer
	at    []int // of its number
	enc   *hpack.Encoder
	block *bytes.Buffer
}

// twice makes the same frames twice: with the fields, which get into the table of the peer's, and with their indices alone, as in what
// follows.
func twice(frames func(*frames2)) (first, next *frames2) {
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	first, next = &frames2{enc: enc, block: &block}, &frames2{enc: enc, block: &block}
	frames(first)
	frames(next)
	return first, next
}

func (b *frames2) head(end bool, fields ...string) {
	b.at = append(b.at, b.Len()+5)
	b.block.Reset()
	for i := 0; i < len(fields); i += 2 {
		_ = b.enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	_ = http2.NewFramer(b, nil).WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: b.block.Bytes(), EndHeaders: true, EndStream: end})
}

func (b *frames2) data(text string, end bool) {
	b.at = append(b.at, b.Len()+5)
	_ = http2.NewFramer(b, nil).WriteData(1, end, []byte(text))
}

// call makes a request and reads its answer.
func (k *calls2) call(t testing.TB) {
	for _, at := range k.at {
		binary.BigEndian.PutUint32(k.request[at:], k.id)
	}
	if _, err := k.Write(k.request); err != nil {
		t.Fatal(err)
	}
	for end := false; !end; {
		head := k.in[:9]
		if _, err := io.ReadFull(k, head); err != nil {
			t.Fatal(err)
		}
		payload := k.in[9 : 9+(int(head[1])<<8|int(head[2]))]
		typ, flags, id := head[3], head[4], binary.BigEndian.Uint32(head[5:])
		if _, err := io.ReadFull(k, payload); err != nil {
			t.Fatal(err)
		}
		switch {
		case typ == byte(http2.FrameHeaders) && k.status == 0:
			k.status = payload[1] // behind the size of the table
		case typ == byte(http2.FrameData):
			k.read += len(payload)
		case typ == byte(http2.FrameRSTStream) || typ == byte(http2.FrameGoAway):
			t.Fatalf("%x", k.in[:50])
		}
		end = id == k.id && flags&1 != 0
	}
	if k.id += 2; k.read > 20_000 {
		update := k.in[:13]
		copy(update, []byte{0, 0, 4, byte(http2.FrameWindowUpdate), 0, 0, 0, 0, 0})
		binary.BigEndian.PutUint32(update[9:], uint32(k.read))
		k.read = 0
		if _, err := k.Write(update); err != nil {
			t.Fatal(err)
		}
	}
}

// fastCalls is an app that speaks HTTP/2 alone and answers calls as gRPC does; it allocates nothing.
func fastCalls(t testing.TB) *url.URL {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for c, err := l.Accept(); err == nil; c, err = l.Accept() {
			first, next := twice(func(b *frames2) {
				b.head(false, ":status", "200", "content-type", "application/grpc")
				b.data("\x00\x00\x00\x00\x05hello", false)
				b.head(true, "grpc-status", "0")
			})
			go answerCalls(c, first, next)
		}
	}()
	return &url.URL{Scheme: "http", Host: l.Addr().String()}
}

func answerCalls(c net.Conn, answer, next *frames2) {
	defer c.Close()
	_ = http2.NewFramer(c, nil).WriteSettings()
	in := make([]byte, 64<<10)
	if _, err := io.ReadFull(c, in[:len(http2.ClientPreface)]); err != nil {
		return
	}
	for taken := 0; ; {
		if _, err := io.ReadFull(c, in[:9]); err != nil {
			return
		}
		n, typ, flags, id := int(in[1])<<8|int(in[2]), in[3], in[4], binary.BigEndian.Uint32(in[5:])
		if _, err := io.ReadFull(c, in[9:9+n]); err != nil {
			return
		}
		if typ == byte(http2.FrameData) {
			taken += n
		}
		if typ > 1 || flags&1 == 0 {
			continue
		}
		for _, a := range answer.at {
			binary.BigEndian.PutUint32(answer.Bytes()[a:], id)
		}
		if _, err := c.Write(answer.Bytes()); err != nil {
			return
		}
		answer = next
		if taken > 20_000 {
			copy(in, []byte{0, 0, 4, byte(http2.FrameWindowUpdate), 0, 0, 0, 0, 0})
			binary.BigEndian.PutUint32(in[9:], uint32(taken))
			taken = 0
			if _, err := c.Write(in[:13]); err != nil {
				return
			}
		}
	}
}

// Requests of HTTP/2 cost little memory, whatever way they go; so do refusals, which anybody can have.
func TestRequestsOfHTTP2AllocateLittle(t *testing.T) { //nolint:paralleltest // counts all allocations of the process
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for name, k := range callers(t) {
		if n := testing.AllocsPerRun(2000, func() { k.call(t) }); n > k.most || k.status != k.want {
			t.Errorf("%s: %v allocations, want %v at most; the answer begins with %x", name, n, k.most, k.status)
		}
	}
}

type caller struct {
	*calls2
	most float64
	want byte // how an answer begins
}

func callers(t testing.TB) map[string]caller {
	t.Helper()
	spec := policy.Spec{
		Issuers: []policy.Issuer{corp.Policy("corp")},
		Rules: []policy.Rule{{
			Name: "all", Match: []policy.Match{{Paths: []string{"/orders/{id}"}}},
			Allow: &policy.Allow{Conditions: policy.Conditions{Scopes: []string{"orders.read"}}},
		}},
		Forward: &policy.Forward{Headers: []policy.IdentityHeader{{Name: "X-User", Claim: "sub"}}},
	}
	p := serving(t, Config{Observer: observing(nil)}, gatetest.Policy("orders", spec))
	bearer := "Bearer " + corp.Token(time.Now(), map[string]any{"scope": "orders.read"})
	head := func(method string, more ...string) []string {
		return append([]string{":method", method, ":scheme", "http", ":path", "/orders/7", ":authority", "orders.shop", "user-agent", "test/1.0"}, more...)
	}
	call := head("POST", "content-type", "application/grpc", "te", "trailers", "authorization", bearer)
	const ok = 0x88 // :status 200, indexed
	return map[string]caller{
		"to an app of HTTP/1.1": {newCalls2(t, p, fastApp(t), "", head("GET", "authorization", bearer)...), 1, ok},
		"a call of gRPC":        {newCalls2(t, p, fastCalls(t), "\x00\x00\x00\x00\x05hello", call...), 2, ok},
		"a refusal":             {newCalls2(t, p, fastApp(t), "", head("GET")...), 8, 0x18},
	}
}

func BenchmarkHTTP2(b *testing.B) {
	for name, k := range callers(b) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				k.call(b)
			}
		})
	}
}
