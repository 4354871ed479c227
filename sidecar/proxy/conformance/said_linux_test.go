package conformance

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// untold is how much of what was written the peer's kernel does not have yet.
func untold(t testing.TB, c *wire) (n int) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	_ = raw.Control(func(fd uintptr) { n, err = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) })
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// parting is an app that answers a head with another one and a body, and resets the connection when it is told to.
type parting struct {
	url             string
	app             chan *wire
	written, resets chan struct{}
}

func newParting(t testing.TB, head, body string) *parting {
	p := &parting{app: make(chan *wire, 1), written: make(chan struct{}), resets: make(chan struct{})}
	p.url = rawApp(t, func(c *wire, _ int) {
		c.head()
		c.send(head)
		p.app <- c
		c.send(body)
		close(p.written)
		c.wait(p.resets)
		_ = c.SetLinger(0)
	})
	return p
}

// begin reads as little of the body as it takes for the proxy's kernel to have all the rest.
func (p *parting) begin(t testing.TB, c *wire) string {
	t.Helper()
	app := receive(t, p.app)
	var begun strings.Builder
	for {
		select {
		case <-p.written:
			if untold(t, app) == 0 {
				return begun.String()
			}
			begun.WriteString(c.bytes(64 << 10))
		case <-time.After(time.Millisecond):
			if untold(t, app) > 0 {
				begun.WriteString(c.bytes(64 << 10))
			}
		}
	}
}

// What an app has answered before it resets its connection reaches the client, however slowly that takes it, and though it is still sending.
func TestAllThatAnAppHasAnsweredArrives(t *testing.T) {
	t.Parallel()
	body := pattern(16 << 20)
	upload := strings.Repeat("x", 8<<20)
	for name, tt := range map[string]struct{ framing, body string }{
		"a length": {"Content-Length: 8388608", upload},
		"chunks":   {"Transfer-Encoding: chunked", strings.Repeat("10000\r\n"+upload[:64<<10]+"\r\n", 128) + "0\r\n\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newParting(t, "HTTP/1.1 200 OK\r\nContent-Length: 16777216\r\n\r\n", body)
			c := dial(t, guard(t, p.url))
			c.send("POST /open/a HTTP/1.1\r\nHost: a\r\n" + tt.framing + "\r\n\r\n")
			if h := c.head(); h.status() != "200" {
				t.Fatal(h.line)
			}
			begun := p.begin(t, c)
			close(p.resets)
			c.send(tt.body)
			if got := begun + c.bytes(len(body)-len(begun)); got != body {
				t.Error("the answer is not what the app has said")
			}
		})
	}
}

// The same for what it has said by a tunnel, also where it has taken nothing for a while when it goes.
func TestAllThatAnAppHasSaidByATunnelArrives(t *testing.T) {
	t.Parallel()
	body := pattern(16 << 20)
	for name, before := range map[string]func(c *wire) (more int){
		"before the client sends": func(*wire) int { return 8 << 20 },
		"when it has been sent too much": func(c *wire) int {
			fills(c, time.Second)
			_ = c.SetDeadline(time.Now().Add(patience))
			return 1 << 20 // with what the kernel holds, it is less than a connection that ends still takes
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newParting(t, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: raw\r\n\r\n", body)
			c := dial(t, guard(t, p.url))
			c.send("GET /open/tunnel HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: raw\r\n\r\n")
			if h := c.head(); h.status() != "101" {
				t.Fatal(h.line)
			}
			begun := p.begin(t, c)
			more := before(c)
			close(p.resets)
			c.send(strings.Repeat("x", more))
			if got := begun + c.rest(); got != body {
				t.Errorf("%d bytes arrive, of %d", len(got), len(body))
			}
		})
	}
}
