//go:build !386 && !s390x && !loop_poll

package proxy

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/net/http2"
)

// Where the kernel holds too much for connections, those end for which it holds most, whoever is to blame. One that is in use goes on.
func TestConnectionsThatHoldMuchEnd(t *testing.T) {
	t.Parallel()
	over := make(chan struct{})
	much := strings.Repeat("x", 1<<20)
	url := app(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/docs/much":
			for range 16 {
				_, _ = io.WriteString(w, much)
			}
		case "/docs/never":
			select {
			case <-over:
			case <-r.Context().Done():
			}
		case "/docs/tunnel":
			c, rw, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			fmt.Fprint(rw, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n")
			_ = rw.Flush()
			for range 64 {
				if _, err := io.WriteString(c, much); err != nil {
					return
				}
			}
		default:
			_, _ = io.WriteString(w, "ok")
		}
	}).URL
	t.Cleanup(func() { close(over) }) // before the app is closed
	get := func(path string) string { return "GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n" }
	everything := http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 30}
	begins := func(c net.Conn) { _, _ = c.Read(make([]byte, 1)) } // else the app's connection may end before there is an answer, which is another then
	for name, load := range map[string]func(c net.Conn, press func()){
		"it takes nothing of a long answer": func(c net.Conn, press func()) {
			_, _ = io.WriteString(c, get("/docs/much"))
			begins(c)
			press()
		},
		"it asks again and again, and takes no answer": func(c net.Conn, press func()) {
			press()
			for err := error(nil); err == nil; {
				_, err = io.WriteString(c, strings.Repeat(get("/orders/1"), 100)) // refused: it has no token
			}
		},
		"it asks more before an answer": func(c net.Conn, press func()) {
			press()
			_, _ = io.WriteString(c, get("/docs/never"))
			for err := error(nil); err == nil; {
				_, err = io.WriteString(c, strings.Repeat(get("/docs/a"), 100))
			}
		},
		"the app takes nothing of its body": func(c net.Conn, press func()) {
			press()
			_, err := io.WriteString(c, "POST /docs/never HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n")
			for err == nil {
				_, err = io.WriteString(c, much)
			}
		},
		"it takes nothing of a tunnel": func(c net.Conn, press func()) {
			_, _ = io.WriteString(c, "GET /docs/tunnel HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
			begins(c)
			press()
		},
		"it takes nothing of HTTP/2": nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var pressed atomic.Bool
			g := protect(t, url, func(c *Config) { c.Pressure = func() (bool, int64) { return pressed.Load(), 1 } })
			press := func() { pressed.Store(true) }
			come := 2
			if load == nil {
				press()
				w := preface(t, g.addr, everything)
				_ = w.WriteWindowUpdate(0, 1<<30)
				_ = w.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: w.fields("GET", "/docs/much"), EndHeaders: true, EndStream: true})
			} else {
				go load(dial(t, g.addr), press)
			}
			until(t, "the connection ends", patience, func() bool {
				if load != nil && pressed.Load() && g.Relieved() == 0 {
					come++
					_ = dial(t, g.addr).Close() // loops that sleep do not look
				}
				return g.Relieved() > 0 && (load == nil || g.observer.open() == 0) // one of HTTP/2 can go on without its stream
			})
			c := client(t, false)
			for range 50 {
				if res, body := ask(t, c, request(t, "GET", "http://"+g.addr+"/docs/a", nil)); res.StatusCode != 200 || body != "ok" {
					t.Fatal(res.StatusCode, body)
				}
			}
			if n := g.observer.total(); n != come {
				t.Errorf("%d connections have come: one in use has ended", n)
			}
		})
	}
}

// One that ends while it waits for a place among those of HTTP/2 takes none.
func TestConnectionsThatHoldMuchTakeNoPlace(t *testing.T) {
	t.Parallel()
	var pressed atomic.Bool
	g := protect(t, echo(t).URL, func(c *Config) {
		c.TLS, c.Limits = certificate(t), Limits{HTTP2Connections: 1, ReadHead: patience}
		c.Pressure = func() (bool, int64) {
			if !pressed.Load() {
				return false, 0
			}
			return true, 1
		}
	})
	greet := func() *tls.Conn {
		c := tls.Client(dial(t, g.addr), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}) //nolint:gosec // a test
		_, _ = io.WriteString(c, http2.ClientPreface)
		_ = http2.NewFramer(c, nil).WriteSettings()
		return c
	}
	served := func(c *tls.Conn) {
		t.Helper()
		if _, err := http2.NewFramer(nil, c).ReadFrame(); err != nil {
			t.Fatal(err)
		}
	}
	first := greet()
	served(first)
	second := greet()
	until(t, "it waits", patience, g.loops.places.crowds)
	pressed.Store(true)
	_, _ = second.Write(make([]byte, 64<<10))
	until(t, "who waits and holds much ends", patience, func() bool { return g.Relieved() == 1 })
	pressed.Store(false)
	next := greet()
	_ = first.Close()
	served(next)
}
