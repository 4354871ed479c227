package proxy

import (
	"bytes"
	"net/netip"
	"net/url"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"golang.org/x/sys/unix"
)

// bareSockets are connections of which this process has no more than the descriptors.
type bareSockets []int

func (s *bareSockets) close() {
	for _, fd := range *s {
		_ = unix.Close(fd)
	}
}

// open opens a socket, which close closes.
func (s *bareSockets) open(t *testing.T) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	*s = append(*s, fd)
	return fd
}

// ask opens a connection, sends a request and reads the answer, up to what is last.
func (s *bareSockets) ask(t *testing.T, addr, text, last string) {
	t.Helper()
	to, fd := netip.MustParseAddrPort(addr), s.open(t)
	err := unix.Connect(fd, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()})
	if err == nil {
		_, err = unix.Write(fd, []byte(text))
	}
	var b [4096]byte
	n := 0
	for k := 1; err == nil && k > 0 && !strings.Contains(string(b[:n]), last); n += k {
		k, err = unix.Read(fd, b[n:])
	}
	if err != nil || !strings.Contains(string(b[:n]), last) {
		t.Fatalf("after %q: %v", b[:n], err)
	}
}

// bareApp is an app that gives the same answer to each connection, once.
func bareApp(t *testing.T, answer string) *url.URL {
	t.Helper()
	s := &bareSockets{}
	t.Cleanup(s.close)
	l := s.open(t)
	if err := unix.Bind(l, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(l, 128); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		var b [4096]byte
		for {
			fd, _, err := unix.Accept(l)
			if err != nil {
				return
			}
			*s = append(*s, fd)
			_, _ = unix.Read(fd, b[:])
			_, _ = unix.Write(fd, []byte(answer))
		}
	}()
	t.Cleanup(func() { _ = unix.Shutdown(l, unix.SHUT_RDWR); <-ended })
	at, err := unix.Getsockname(l)
	if err != nil {
		t.Fatal(err)
	}
	to := at.(*unix.SockaddrInet4)
	return &url.URL{Scheme: "http", Host: netip.AddrPortFrom(netip.AddrFrom4(to.Addr), uint16(to.Port)).String()} //nolint:gosec // it is one
}

// heapBytes is what of the heap is live.
func heapBytes() int {
	runtime.GC()
	runtime.GC() // what lies in pools is live for the first one
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc) //nolint:gosec // it is less
}

// A connection that waits for its next request holds little, and nothing of connections to the app that have ended. One whose answer is under way
// holds little of its request.
func TestWhatConnectionsHold(t *testing.T) { //nolint:paralleltest // looks at the heap of the process
	if raceEnabled {
		t.Skip("the race detector has memory of its own")
	}
	bearer := "Bearer " + token()
	get := "GET /orders/1 HTTP/1.1\r\nHost: orders.example.com\r\nAuthorization: " + bearer + "\r\n\r\n"
	for name, c := range map[string]struct {
		length  string // of the answer, of which 5 bytes come
		request string
		most    int // bytes
	}{
		"HTTP/1.1":            {"5", get, 1800},
		"HTTP/1.1, an answer": {"6", get, 2600},
		"HTTP/2": {"5", callOnce(":method", "GET", ":scheme", "http", ":path", "/orders/1", ":authority", "orders.example.com",
			"user-agent", "test", "authorization", bearer), 3000},
	} {
		t.Run(name, func(t *testing.T) {
			const conns = 500
			to := bareApp(t, "HTTP/1.1 200 OK\r\nServer: test\r\nContent-Length: "+c.length+"\r\n\r\nhello")
			g := protect(t, to.String(), func(c *Config) { c.Observer = nil }) // it would remember requests
			s := make(bareSockets, 0, conns+1)
			t.Cleanup(func() { s.close() })
			s.ask(t, g.addr, c.request, "hello")
			before := heapBytes()
			for range conns {
				s.ask(t, g.addr, c.request, "hello")
			}
			held := 0
			defer func() { t.Log("a connection holds", held, "bytes") }()
			eventually(t, "a connection holds little", func() bool {
				held = (heapBytes() - before) / conns
				return held <= c.most
			})
		})
	}
}

// callOnce is all that a client of HTTP/2 says that makes one request, whose fields get into HPACK's table.
func callOnce(fields ...string) string {
	var block, out bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for i := 0; i < len(fields); i += 2 {
		_ = enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	out.WriteString(http2.ClientPreface)
	f := http2.NewFramer(&out, nil)
	_ = f.WriteSettings()
	_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true})
	return out.String()
}
