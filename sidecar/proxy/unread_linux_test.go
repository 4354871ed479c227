package proxy

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestReadersOfNothingHoldLittle has many clients ask for long answers and read none of them: what the proxy holds of the answers has a bound over
// all connections.
func TestReadersOfNothingHoldLittle(t *testing.T) {
	const clients, mostMiB = 600, 30 // with 64 KiB each they would be 38
	app, stuck := talker(t)
	g := protect(t, app, nil)
	before := inUse()
	small := net.Dialer{Control: func(_, _ string, raw syscall.RawConn) error {
		return raw.Control(func(fd uintptr) {
			_ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096)
			_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_MAXSEG, 536) // else the kernel holds megabytes for each
		})
	}}
	for range clients {
		c, err := small.DialContext(t.Context(), "tcp", g.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := io.WriteString(c, "GET /docs/a HTTP/1.1\r\nHost: orders.shop\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
	}
	for range clients {
		<-stuck
	}
	if got := inUse() - before; got > mostMiB<<20 {
		t.Errorf("%d readers of nothing hold %d KiB; want at most %d MiB", clients, got>>10, mostMiB)
	}
}

func inUse() int64 {
	runtime.GC()
	runtime.GC() // pools
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// talker is an app whose answers have no end. It tells of each answer of which nobody takes any more.
func talker(t *testing.T) (url string, stuck chan struct{}) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	stuck = make(chan struct{}, 1000)
	var all sync.WaitGroup
	t.Cleanup(func() { _ = l.Close(); all.Wait() })
	piece := append([]byte("4000\r\n"), make([]byte, 0x4000+2)...)
	copy(piece[len(piece)-2:], "\r\n")
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer c.Close()
				_ = c.(*net.TCPConn).SetWriteBuffer(4096) // as above
				if _, err := http.ReadRequest(bufio.NewReaderSize(c, 512)); err != nil {
					return
				}
				_, err := io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
				for err == nil {
					_ = c.SetWriteDeadline(time.Now().Add(time.Second))
					_, err = c.Write(piece)
				}
				stuck <- struct{}{}
				<-t.Context().Done()
			})
		}
	})
	return "http://" + l.Addr().String(), stuck
}
