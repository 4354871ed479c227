package conformance

import (
	"fmt"
	"io"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/sidecar/proxy"
)

// What bounds how long a client may take none of an answer is about that answer: a tunnel on the same connection afterwards is not ended by
// it, and whatever ends the tunnel is the end of no other client's request.
func TestATunnelOutlivesTheLimitsOfEarlierAnswers(t *testing.T) {
	t.Parallel()
	const limit = 2 * time.Second
	const big = 64 << 20 // much more than the kernel holds, as a rule
	full, stuck, end, answer := make(chan struct{}), make(chan struct{}), make(chan struct{}), make(chan struct{})
	url := rawApp(t, func(c *wire, _ int) {
		for {
			switch h := c.head(); {
			case strings.Contains(h.line, "/big"):
				c.send(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", big))
				rest := big - fillsUpTo(c, limit/20, big)
				close(full)
				_ = c.SetWriteDeadline(time.Now().Add(patience))
				c.send(strings.Repeat("x", rest))
			case strings.Contains(h.line, "/slow"):
				c.wait(answer)
				c.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmine")
			default:
				c.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: raw\r\n\r\n")
				fills(c, limit/20)
				close(stuck)
				c.wait(end)
				return
			}
		}
	})
	addr := guard(t, url, func(c *proxy.Config) { c.Limits.Write = limit })
	first := dial(t, addr)
	first.send("GET /open/big HTTP/1.1\r\nHost: a\r\n\r\n")
	first.wait(full)
	first.answer()
	first.send("GET /open/tunnel HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: raw\r\n\r\n")
	if h := first.head(); h.status() != "101" {
		t.Fatal(h.line)
	}
	first.wait(stuck)
	<-time.After(3 * limit)
	var others sync.WaitGroup
	for range 8 { // on all loops
		others.Go(func() {
			c := dial(t, addr)
			c.send("GET /open/slow HTTP/1.1\r\nHost: a\r\n\r\n")
			if h, text := c.answer(); h.status() != "200" || text != "mine" {
				t.Errorf("another client got %s %q", h.line, text)
			}
		})
	}
	close(end)
	if got := first.rest(); len(got) < 64<<10 || got[:64<<10] != pattern(64<<10) {
		t.Errorf("%d bytes came by the tunnel", len(got))
	}
	close(answer)
	others.Wait()
}

// What a tunnel has left for an app when it ends is the app's for --write-timeout: then its connection ends, too.
func TestATunnelThatHasEndedLeavesNoAppConnection(t *testing.T) {
	t.Parallel()
	full, ended := make(chan struct{}), make(chan bool, 1)
	addr := guard(t, rawApp(t, func(c *wire, _ int) {
		c.head()
		c.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
		c.wait(full)
		c.send("\x88\x02\x03\xe8") // a close frame
		_ = c.CloseWrite()
		ended <- c.gone()
	}), func(c *proxy.Config) { c.Limits.Write = 200 * time.Millisecond })
	c := dial(t, addr)
	c.send("GET /open/tunnel HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
	if h := c.head(); h.status() != "101" {
		t.Fatal(h.line)
	}
	fills(c, time.Second)
	close(full)
	if got := c.bytes(4); got != "\x88\x02\x03\xe8" {
		t.Errorf("the client gets %q", got)
	}
	if !receive(t, ended) {
		t.Error("the app's connection stays")
	}
}

// fills writes until nothing has been taken for a while, and returns how many bytes have been.
func fills(c *wire, while time.Duration) (n int) { return fillsUpTo(c, while, math.MaxInt) }

// fillsUpTo is fills that writes no more than most bytes.
func fillsUpTo(c *wire, while time.Duration, most int) (n int) {
	piece := pattern(64 << 10)
	for n < most {
		_ = c.SetWriteDeadline(time.Now().Add(while))
		k, err := io.WriteString(c, piece[:min(len(piece), most-n)])
		if n += k; err != nil && n >= len(piece) { // else it was not tried in time
			break
		}
	}
	return n
}
