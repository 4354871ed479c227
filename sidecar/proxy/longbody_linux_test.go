package proxy

import (
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
)

// Whatever becomes of long bodies, no socket and no pipe is left of them. It is not parallel: it counts those of the process.
func TestLongBodiesLeaveNothingOpen(t *testing.T) {
	before := openFiles(t)
	t.Run("", func(t *testing.T) {
		url, wrote, _ := flood(t, endlessLength)
		g, plain := protect(t, url, nil), protect(t, bulk(t), nil)
		for i := range 20 {
			c := dial(t, g.addr)
			fmt.Fprint(c, "GET /docs/a HTTP/1.1\r\nHost: a\r\n\r\n")
			if _, err := io.CopyN(io.Discard, c, 1<<20); err != nil {
				t.Fatal(err)
			}
			if i%4 == 0 {
				_ = c.(*net.TCPConn).SetLinger(0)
			}
			if i%2 == 0 {
				_ = c.Close() // the others read nothing more, to the end of the test
			}
		}
		steady(t, wrote)
		for i := range 20 {
			c := dial(t, plain.addr)
			fmt.Fprint(c, "POST /docs/a HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n")
			_, _ = io.Copy(c, bytesOf(1<<20+int64(i)))
			if i%2 == 0 {
				_ = c.Close()
			}
		}
		c := client(t, false)
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() {
				if err := down(c, plain.addr, "close", 1<<20); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		c.CloseIdleConnections()
	})
	eventually(t, "all is closed", func() bool { return openFiles(t) <= before })
}

// openFiles is how many sockets and pipes the process has.
func openFiles(t *testing.T) (n int) {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		to, err := os.Readlink("/proc/self/fd/" + e.Name())
		if err == nil && (strings.HasPrefix(to, "socket:") || strings.HasPrefix(to, "pipe:")) {
			n++
		}
	}
	return n
}

// Answers that a client has yet to take when the drain begins are not cut off.
func TestDrainLeavesNoHalfAnswer(t *testing.T) {
	url, asked := brief(t)
	g := protect(t, url, nil)
	c := dial(t, g.addr)
	go func() { _, _ = io.WriteString(c, strings.Repeat(briefly, 12_000)) }()
	steady(t, asked)
	g.stop()
	eventually(t, "the proxy drains", g.Draining)
	if n := wholeAnswers(c); n < asked.Load() {
		t.Errorf("%d answers to %d requests", n, asked.Load())
	}
}
