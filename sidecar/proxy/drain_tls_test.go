package proxy

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// shaking is a client's socket that sends the first part of a TLS handshake, and the rest when it is told to.
type shaking struct {
	net.Conn
	begun, goOn chan struct{}
	writes      int
}

func (s *shaking) Write(b []byte) (int, error) {
	if s.writes++; s.writes == 2 {
		close(s.begun)
		<-s.goOn
	}
	return s.Conn.Write(b)
}

// shake begins a handshake.
func shake(t *testing.T, addr string, c *tls.Config) (s *shaking, over *tls.Conn) {
	t.Helper()
	s = &shaking{Conn: dial(t, addr), begun: make(chan struct{}), goOn: make(chan struct{})}
	c.InsecureSkipVerify = true
	return s, tls.Client(s, c)
}

// drains tells a proxy to stop, and returns when it has done on all loops what it does at once.
func (g *guard) drains(t *testing.T) {
	t.Helper()
	var idle []net.Conn
	for range 8 { // on all loops
		c := tls.Client(dial(t, g.addr), &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // a test
		if err := c.HandshakeContext(t.Context()); err != nil {
			t.Fatal(err)
		}
		idle = append(idle, c)
	}
	eventually(t, "they are served", func() bool { return g.shaking() <= 1 })
	g.stop()
	for _, c := range idle {
		_, _ = io.ReadAll(c)
	}
}

// shaking is how many handshakes are under way.
func (g *guard) shaking() (n int) {
	p := &g.loops.handshakes
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.taken
}

// A TLS handshake that is under way when the sidecar is told to stop may end, and the first request that comes with it is answered.
func TestDrainLetsHandshakesEnd(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		version uint16
		h2      bool
	}{
		"TLS 1.2": {version: tls.VersionTLS12}, "TLS 1.3": {version: tls.VersionTLS13}, "HTTP/2": {version: tls.VersionTLS13, h2: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := prepare(t, echo(t).URL, func(c *Config) {
				c.TLS, c.Limits = certificate(t), Limits{Drain: time.Minute, ReadHead: time.Minute, Idle: time.Minute}
			})
			g.loops.last = time.Minute // for a machine that is slow
			g.run()
			protocol := map[bool]string{false: "http/1.1", true: "h2"}[tt.h2]
			s, c := shake(t, g.addr, &tls.Config{MinVersion: tt.version, MaxVersion: tt.version, NextProtos: []string{protocol}})
			shaken := make(chan error, 1)
			go func() { shaken <- c.HandshakeContext(t.Context()) }()
			<-s.begun
			g.drains(t)
			close(s.goOn)
			if err := <-shaken; err != nil {
				t.Fatal(err)
			}
			if tt.h2 {
				asksAndIsToldToGo(t, c)
			} else {
				fmt.Fprint(c, "GET /docs/a HTTP/1.1\r\nHost: a\r\n\r\n")
				in := bufio.NewReader(c)
				res, err := http.ReadResponse(in, nil)
				if err != nil {
					t.Fatal(err)
				}
				if b, err := io.ReadAll(res.Body); err != nil || res.StatusCode != 200 || !res.Close {
					t.Errorf("%s, %q, %v, Connection: close %v", res.Status, b, err, res.Close)
				}
			}
			_ = c.Close()
			if err := <-g.stopped; err != nil {
				t.Error(err)
			}
			g.stopped <- nil
		})
	}
}

func asksAndIsToldToGo(t *testing.T, c net.Conn) {
	t.Helper()
	w := &wire2{conn: c}
	w.Framer, w.enc = http2.NewFramer(c, c), hpack.NewEncoder(&w.block)
	_, _ = io.WriteString(c, http2.ClientPreface)
	_ = w.WriteSettings()
	_ = w.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: w.fields("GET", "/docs/a"), EndHeaders: true, EndStream: true})
	for _, want := range []string{"GOAWAY NO_ERROR", "200"} {
		if got := w.end(); got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
	}
}

// Who says no more in a handshake, or nothing behind it, does not hold the drain up for long.
func TestDrainDoesNotWaitForSilenceOverTLS(t *testing.T) {
	t.Parallel()
	for name, send := range map[string]string{"nothing": "", "half a hello": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "all of it": "all"} {
		for _, protocol := range []string{"http/1.1", "h2"} {
			t.Run(name+", "+protocol, func(t *testing.T) {
				t.Parallel()
				g := protect(t, echo(t).URL, func(c *Config) {
					c.TLS, c.Limits = certificate(t), Limits{Drain: time.Minute, ReadHead: time.Minute, Idle: time.Minute}
				})
				s, c := shake(t, g.addr, &tls.Config{NextProtos: []string{protocol}})
				if send == "all" {
					go func() { _ = c.HandshakeContext(t.Context()) }()
					<-s.begun
				} else {
					_, _ = io.WriteString(s.Conn, send)
					eventually(t, "it has a place", func() bool { return g.shaking() == 1 })
				}
				g.drains(t)
				if send == "all" {
					close(s.goOn)
				}
				select {
				case err := <-g.stopped:
					if err != nil {
						t.Error(err)
					}
				case <-time.After(patience):
					t.Fatal("the drain does not end")
				}
				g.stopped <- nil
			})
		}
	}
}

// Nor does one that has not said whether it speaks TLS.
func TestDrainDoesNotWaitForAFirstByte(t *testing.T) {
	t.Parallel()
	g := protect(t, echo(t).URL, func(c *Config) {
		c.TLS, c.Plaintext, c.Limits = certificate(t), true, Limits{Drain: time.Minute, ReadHead: time.Minute, Idle: time.Minute}
	})
	_ = dial(t, g.addr)
	eventually(t, "it is accepted", func() bool { return g.observer.total() == 1 })
	g.stop()
	select {
	case <-g.stopped:
		g.stopped <- nil
	case <-time.After(patience):
		t.Fatal("the drain does not end")
	}
}
