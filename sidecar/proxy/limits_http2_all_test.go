package proxy

import (
	"io"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/bearerguard/bearerguard/api/decision"
)

// A connection of HTTP/2 that is one too many waits for a place, and is sent away if it gets none.
func TestHTTP2LimitOfConnections(t *testing.T) {
	t.Parallel()
	full := func(patience time.Duration) (g *guard, first, third *wire2) {
		url, open, _ := holding(t)
		g = protect(t, url, func(c *Config) { c.Limits = Limits{HTTP2Connections: 2, ReadHead: patience, Drain: time.Second} })
		first = preface(t, g.addr)
		for i, w := range []*wire2{first, preface(t, g.addr)} { // each with a request, or it would make way
			_ = w.open(1, "/docs/a")
			eventually(t, "its request gets to the app", func() bool { return open.Load() == int64(i)+1 })
		}
		third = &wire2{conn: dial(t, g.addr)}
		third.Framer, third.enc = http2.NewFramer(third.conn, third.conn), hpack.NewEncoder(&third.block)
		_, _ = io.WriteString(third.conn, http2.ClientPreface)
		_ = third.WriteSettings()
		_ = third.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: third.fields("GET", "/none"), EndHeaders: true, EndStream: true})
		eventually(t, "it waits", func() bool {
			return g.loops.places.waits() == 1
		})
		return g, first, third
	}
	sentAway := func(what string, w *wire2) {
		t.Helper()
		for _, want := range []string{"GOAWAY ENHANCE_YOUR_CALM", "closed"} {
			if got := w.end(); got != want {
				t.Errorf("%s: %s, want %s", what, got, want)
			}
		}
	}
	g, first, third := full(time.Minute)
	if res, _ := ask(t, client(t, false), request(t, "GET", "http://"+g.addr+"/none", nil)); res.StatusCode != 401 {
		t.Errorf("HTTP/1.1 meanwhile: %d", res.StatusCode)
	}
	_ = first.conn.Close()
	if got := third.end(); got != "401" {
		t.Errorf("once another has ended: %s", got)
	}

	_, _, third = full(3 * time.Second) // so that a slow machine sees that it waits
	sentAway("after --read-header-timeout", third)

	g, _, third = full(time.Minute)
	g.stop()
	sentAway("when the sidecar stops", third)
	eventually(t, "nothing is open", func() bool {
		g.observer.mu.Lock()
		defer g.observer.mu.Unlock()
		return g.observer.conns == 0
	})
}

// One request too many of all HTTP/2 connections is refused, whatever way it would take, and there is room again once
// another ends.
func TestHTTP2LimitOfRequests(t *testing.T) {
	t.Parallel()
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, open, _ := holding(t)
			g := protect(t, url, func(c *Config) { c.AppProtocol, c.Limits = way.app, Limits{HTTP2Requests: 3, Drain: time.Second} })
			begin := func(w *wire2, id uint32) {
				fields := w.fields("POST", "/docs/a", "content-type", way.contentType)
				_ = w.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: fields, EndHeaders: true})
			}
			one, other := preface(t, g.addr), preface(t, g.addr)
			begin(one, 1)
			begin(one, 3)
			begin(other, 1)
			eventually(t, "three requests get to the app", func() bool { return open.Load() == 3 })
			want := "503"
			if way.contentType == "application/grpc" {
				want = "200" // and grpc-status 14
			}
			begin(other, 3)
			if got := other.end(); got != want {
				t.Errorf("the fourth request: %s, want %s", got, want)
			}
			if got := g.observer.reasons(); got[len(got)-1] != string(decision.Overloaded) {
				t.Errorf("recorded: %v, want the last to be %s", got, decision.Overloaded)
			}
			_ = one.conn.Close()
			eventually(t, "two requests are given up", func() bool { return open.Load() == 1 && g.loops.calls.Now() == 1 })
			begin(other, 5)
			eventually(t, "another request gets to the app", func() bool { return open.Load() == 2 })
		})
	}
}

// What a client may send of bodies that nobody takes is bounded on each connection, and by less where there are many.
func TestHTTP2LimitOfUnreadBodies(t *testing.T) {
	t.Parallel()
	url, _ := counting(t)
	g := protect(t, url, func(c *Config) { c.Limits = Limits{Drain: time.Second} })
	for n := range wideConns + 2 {
		want := wideBytes
		if n >= wideConns {
			want = narrowBytes
		}
		if stream, conn := windows(t, g.addr); stream != want || conn != want {
			t.Fatalf("connection %d: may send %d of a body and %d of all, want %d", n+1, stream, conn, want)
		}
	}
}

// windows opens a connection and returns how much may be sent on a stream, and on all of them.
func windows(t *testing.T, addr string) (stream, conn int) {
	t.Helper()
	c := dial(t, addr)
	f := http2.NewFramer(c, c)
	_, _ = io.WriteString(c, http2.ClientPreface)
	_ = f.WriteSettings()
	_ = f.WritePing(false, [8]byte{1})
	stream, conn = 65535, 65535 // RFC 9113 section 6.9.2
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		switch frame := frame.(type) {
		case *http2.SettingsFrame:
			if v, ok := frame.Value(http2.SettingInitialWindowSize); ok {
				stream = int(v)
			}
		case *http2.WindowUpdateFrame:
			conn += int(frame.Increment)
		case *http2.PingFrame:
			return stream, conn
		}
	}
}

// waits is how many wait for a place.
func (p *places) waits() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.queue)
}
