package proxy

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
)

// dialFrom connects from another address of this machine.
func dialFrom(t *testing.T, from, addr string) net.Conn {
	t.Helper()
	d := net.Dialer{Timeout: patience, LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := d.DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(2 * patience))
	return c
}

// inParts sends a request whose head has so many bytes more than it needs, in two parts, and returns the answer's status.
func (g *guard) inParts(t *testing.T, c net.Conn, more int) (status int) {
	t.Helper()
	fmt.Fprintf(c, "GET /docs/a HTTP/1.1\r\nHost: a\r\nCookie: %s", strings.Repeat("c", more))
	g.turns(t)
	fmt.Fprint(c, "\r\n\r\n")
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode
}

// turns returns when what has been sent before has been read, as a rule: others have been answered on all loops.
func (g *guard) turns(t *testing.T) {
	t.Helper()
	var all []net.Conn
	for range 2 * runtime.GOMAXPROCS(0) {
		all = append(all, dialFrom(t, "127.0.0.3", g.addr))
	}
	for _, c := range all {
		fmt.Fprint(c, "GET /docs/a HTTP/1.1\r\nHost: a\r\n\r\n")
		if _, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
}

func (r *recorder) count(reason decision.Reason) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.records {
		if r.records[i].Reason == reason {
			n++
		}
	}
	return n
}

// Heads without an end of many connections take so much memory together, and no more. Small heads are read all the same, larger ones of
// other clients too.
func TestUnfinishedHeadsAreBoundedTogether(t *testing.T) { //nolint:paralleltest // what is held is the process's
	g := protect(t, echo(t).URL, func(c *Config) { c.Limits = Limits{ReadHead: time.Minute, Drain: time.Second} })
	const all, fit = 200, 8 << 20 / (64 << 10)
	var attackers []net.Conn
	for range all {
		c := dial(t, g.addr)
		attackers = append(attackers, c)
		_, _ = io.WriteString(c, "GET /docs/a HTTP/1.1\r\nHost: a\r\nX: "+strings.Repeat("x", 60<<10))
	}
	eventually(t, "those that are too many are refused", func() bool { return g.observer.count(decision.Overloaded) >= all-fit })
	g.observer.mu.Lock()
	if got := g.observer.records[0].Cause.String(); got != "heads that have not come as a whole take as much memory as they may" {
		t.Errorf("cause %q", got)
	}
	g.observer.mu.Unlock()
	if got := g.inParts(t, dial(t, g.addr), 4<<10-100); got != 200 {
		t.Errorf("a small head of the same client: %d", got)
	}
	if got := g.inParts(t, dialFrom(t, "127.0.0.2", g.addr), 16<<10); got != 200 {
		t.Errorf("a head of 16 KiB of another: %d", got)
	}
	for _, c := range attackers {
		_ = c.Close()
	}
	eventually(t, "they are gone", func() bool {
		g.observer.mu.Lock()
		defer g.observer.mu.Unlock()
		return g.observer.conns <= 3
	})
	for range 2 {
		if got := g.inParts(t, dial(t, g.addr), 60<<10); got != 200 {
			t.Errorf("a large head when they have gone: %d", got)
		}
	}
}

// So do trailers.
func TestUnfinishedTrailersAreBoundedTogether(t *testing.T) { //nolint:paralleltest // what is held is the process's
	g := protect(t, echo(t).URL, func(c *Config) { c.Limits = Limits{ReadHead: time.Minute, Drain: time.Second} })
	const all, fit = 600, 8 << 20 / (16 << 10)
	for range all {
		_, _ = io.WriteString(dial(t, g.addr), "POST /docs/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: "+strings.Repeat("x", 10<<10))
	}
	eventually(t, "those that are too many are refused", func() bool { return g.observer.count(decision.Overloaded) >= all-fit })
}

// Field blocks without an end of HTTP/2 are bounded in the same way.
func TestUnfinishedFieldBlocksAreBoundedTogether(t *testing.T) { //nolint:paralleltest // what is held is the process's
	g := protect(t, echo(t).URL, func(c *Config) { c.Limits = Limits{ReadHead: time.Minute, Drain: time.Second} })
	const all, fit = 100, 8 << 20 / (128 << 10)
	ends := make(chan string, all)
	for range all {
		w := preface(t, g.addr)
		_ = w.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: w.fields("GET", "/docs/a")})
		for range 7 {
			_ = w.WriteContinuation(1, false, make([]byte, 16<<10))
		}
		go func() { ends <- w.end() }()
	}
	for range all - fit {
		if got := <-ends; got != "GOAWAY ENHANCE_YOUR_CALM" {
			t.Fatal(got)
		}
	}
	w := preface(t, g.addr)
	block := w.fields("GET", "/docs/a", "x", strings.Repeat("y", 3<<10))
	_ = w.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block[:2<<10], EndStream: true})
	g.turns(t)
	_ = w.WriteContinuation(1, true, block[2<<10:])
	if got := w.end(); got != "200" {
		t.Errorf("a small head: %s", got)
	}
}

// And so are the heads of requests that wait for keys.
func TestHeadsThatWaitAreBoundedTogether(t *testing.T) { //nolint:paralleltest // what is held is the process's
	const all, fit = 150, 8 << 20 / (64 << 10)
	auth, large := "Bearer "+unknown(), strings.Repeat("x", 40<<10)
	for name, begin := range map[string]func(t *testing.T, addr string) (c net.Conn, end func() string){
		"HTTP/1.1": func(t *testing.T, addr string) (net.Conn, func() string) {
			c := dial(t, addr)
			fmt.Fprintf(c, "GET /orders/1 HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nX: %s\r\n\r\n", auth, large)
			return c, func() string { _, _ = c.Read(make([]byte, 1)); return "" }
		},
		"HTTP/2": func(t *testing.T, addr string) (net.Conn, func() string) {
			w := preface(t, addr)
			block := w.fields("GET", "/orders/1", "authorization", auth, "x", large)
			first, rest := block[:16<<10], block[16<<10:]
			_ = w.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: first, EndStream: true})
			_ = w.WriteContinuation(1, false, rest[:16<<10])
			_ = w.WriteContinuation(1, true, rest[16<<10:])
			return w.conn, w.end
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			keys, asked := waits(t)
			g := protect(t, echo(t).URL, func(c *Config) { c.Gate = keys })
			var conns []net.Conn
			var unread, ended atomic.Int64 // unread: there was no room for it even before it had come as a whole
			for range all {
				c, end := begin(t, g.addr)
				conns = append(conns, c)
				go func() {
					if strings.HasPrefix(end(), "GOAWAY") {
						unread.Add(1)
					}
					ended.Add(1)
				}()
			}
			until(t, "those that are too many are answered", patience, func() bool { return ended.Load() >= all-fit })
			if asked.Load() == 0 {
				t.Error("nobody waits")
			}
			for _, c := range conns {
				_ = c.(*net.TCPConn).CloseWrite()
			}
			eventually(t, "nobody waits any more", func() bool { return ended.Load() == all && len(g.observer.reasons()) == all-int(unread.Load()) })
		})
	}
}

// And those of requests whose bodies are waited for, so that the gate can read them.
func TestHeadsThatWaitForTheirBodiesAreBoundedTogether(t *testing.T) { //nolint:paralleltest // what is held is the process's
	g := protect(t, echo(t).URL, nil, gatetest.Policy("server", mcpServer()))
	const all, fit = 150, 8 << 20 / (64 << 10)
	large := strings.Repeat("x", 40<<10)
	for range all {
		fmt.Fprintf(dial(t, g.addr), "POST /mcp HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 10\r\nAuthorization: Bearer %s\r\nX: %s\r\n\r\n", token(), large)
	}
	eventually(t, "those that are too many are refused", func() bool { return g.observer.count(decision.Overloaded) == all-fit })
}

// A head has to come in --read-header-timeout once it has begun, also where other streams are open.
func TestHTTP2LimitOfTheTimeOfHeads(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]func(w *wire2){
		"HEADERS without CONTINUATION": func(w *wire2) {
			_ = w.WriteHeaders(http2.HeadersFrameParam{StreamID: 3, BlockFragment: w.fields("GET", "/docs/a")})
		},
		"half of HEADERS":  func(w *wire2) { _, _ = w.conn.Write([]byte("\x00\x00\x20\x01\x05\x00\x00\x00\x03\x82")) },
		"half of trailers": func(w *wire2) { _, _ = w.conn.Write([]byte("\x00\x00\x20\x01\x05\x00\x00\x00\x01\x82")) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, open, _ := holding(t)
			g := protect(t, url, func(c *Config) { c.Limits = Limits{ReadHead: 4 * time.Second, BodyRate: -1, Drain: time.Second} })
			w := preface(t, g.addr)
			_ = w.open(1, "/docs/a")
			eventually(t, "a stream is open", func() bool { return open.Load() > 0 })
			begin(w)
			for _, want := range []string{"GOAWAY ENHANCE_YOUR_CALM", "closed"} {
				if got := w.end(); got != want {
					t.Errorf("%s, want %s", got, want)
				}
			}
		})
	}
}

// The preface and SETTINGS have to come in --read-header-timeout over TLS too.
func TestHTTP2LimitOfTheTimeOfThePreface(t *testing.T) {
	t.Parallel()
	url, _ := counting(t)
	for name, send := range map[string]string{"nothing": "", "half a preface": http2.ClientPreface[:10], "a preface alone": http2.ClientPreface} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := protect(t, url, func(c *Config) {
				c.TLS, c.Limits = certificate(t), Limits{ReadHead: 4 * time.Second, Drain: time.Second}
			})
			c := tls.Client(dial(t, g.addr), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}) //nolint:gosec // a test
			if _, err := io.WriteString(c, send); err != nil {
				t.Fatal(err)
			}
			w := &wire2{conn: c, Framer: http2.NewFramer(c, c)}
			for _, want := range []string{"GOAWAY ENHANCE_YOUR_CALM", "closed"} {
				if got := w.end(); got != want {
					t.Errorf("%s, want %s", got, want)
				}
			}
		})
	}
}
