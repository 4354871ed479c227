package proxy

import (
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"net/url"
	"runtime"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/bearerguard/bearerguard/sidecar/proxy/exchange"
)

// silentApp takes connections and says nothing. It has one goroutine.
func silentApp(t *testing.T) *url.URL {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var taken []net.Conn
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			taken = append(taken, c)
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-ended
		for _, c := range taken {
			_ = c.Close()
		}
	})
	return &url.URL{Scheme: "http", Host: l.Addr().String()}
}

// Who waits, for a client or for the app, has no goroutine, whatever it waits for.
func TestWaitsHaveNoGoroutine(t *testing.T) { //nolint:paralleltest // counts all goroutines of the process
	const conns = 100
	call := func(w io.Writer) {
		_, _ = io.WriteString(w, http2.ClientPreface)
		f := http2.NewFramer(w, nil)
		_ = f.WriteSettings()
		for id := uint32(1); id < 20; id += 2 { // POST http /, of which the host is missing: :authority a
			_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: []byte("\x83\x86\x84\x41\x01a"), EndHeaders: true})
			_ = f.WriteData(id, false, []byte("abc"))
		}
	}
	say := func(text string) func(io.Writer) {
		return func(w io.Writer) { _, _ = io.WriteString(w, text) }
	}
	for name, begin := range map[string]func(io.Writer){
		"for a first byte":       func(io.Writer) {},
		"for the rest of a head": say("GET / HTTP/1.1\r\nHost:"),
		"for the rest of a body": say("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nabc"),
		"for another chunk":      say("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"),
		"for an answer":          say("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
		"for requests of HTTP/2": say(http2.ClientPreface + "\x00\x00\x00\x04\x00\x00\x00\x00\x00"),
		"for bodies of HTTP/2":   call,
		"for two answers":        say("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
	} {
		for _, secure := range []bool{false, true} {
			t.Run(name, func(t *testing.T) { //nolint:paralleltest // as above
				cfg := Config{Limits: Limits{ReadHead: time.Minute, Drain: time.Second}}
				if secure {
					cfg.TLS = certificate(t)
				}
				p, upstream := open(t, cfg), silentApp(t)
				before := runtime.NumGoroutine()
				for range conns {
					c, server := pair(t)
					t.Cleanup(func() { _ = c.Close() })
					info := exchange.Info{Port: 80, Upstream: upstream, Remote: netip.MustParseAddr("127.0.0.1"), Secure: secure}
					if !secure {
						p.loops.serve(server, info, func(netip.Addr) {})
						begin(c)
						continue
					}
					p.loops.secure(server, info, func(netip.Addr) {})
					s := tls.Client(c, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // a test
					if err := s.HandshakeContext(t.Context()); err != nil {
						t.Fatal(err)
					}
					begin(s)
				}
				eventually(t, "all goroutines have ended but a few", func() bool { return runtime.NumGoroutine()-before < conns/10 })
				eventually(t, "all connections are served", func() bool {
					n := 0
					for _, h := range p.loops.hosts {
						n += h.Loop.Size()
					}
					return n >= conns
				})
			})
		}
	}
}
