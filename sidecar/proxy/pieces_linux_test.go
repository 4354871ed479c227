package proxy

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/sys/unix"
)

// Pieces of a body that come together go on together, however small they are: else each byte of a client's costs a call and a packet.
func TestSmallPiecesGoOnTogether(t *testing.T) {
	t.Parallel()
	const pieces, most = 5000, 100
	for name, length := range map[string]string{"to an app that is told the length": strconv.Itoa(pieces), "to an app that is not": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			begun, packets := make(chan struct{}), make(chan uint32, 1)
			go func() {
				defer close(packets)
				c, err := l.Accept()
				if err != nil {
					return
				}
				defer c.Close()
				req, err := http.ReadRequest(bufio.NewReader(c))
				close(begun)
				if err != nil {
					t.Error(err)
					return
				}
				if b, err := io.ReadAll(req.Body); err != nil || string(b) != strings.Repeat("x", pieces) {
					t.Errorf("the app gets %d bytes, %v", len(b), err)
				}
				packets <- segments(t, c)
				fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			}()
			g := protect(t, "http://"+l.Addr().String(), func(c *Config) { c.AppProtocol = AppHTTP1 })
			w := preface(t, g.addr)
			block := w.fields("POST", "/docs/a")
			if length != "" {
				block = w.fields("POST", "/docs/a", "content-length", length)
			}
			_ = w.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block, EndHeaders: true})
			<-begun
			var all bytes.Buffer
			w.Framer = http2.NewFramer(&all, w.conn)
			for i := range pieces {
				_ = w.WriteData(1, i == pieces-1, []byte("x"))
			}
			_, _ = w.conn.Write(all.Bytes())
			if got := w.end(); got != "200" {
				t.Errorf("got %s", got)
			}
			if n := <-packets; n > most {
				t.Errorf("%d packets for %d bytes", n, pieces)
			}
		})
	}
}

// segments is how many packets with data have come on a connection.
func segments(t *testing.T, c net.Conn) (n uint32) {
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) {
			info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
			if err != nil {
				t.Error(err)
				return
			}
			n = info.Data_segs_in
		})
	}
	if err != nil {
		t.Error(err)
	}
	return n
}
