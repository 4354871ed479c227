package proxy

import (
	"bufio"
	"bytes"
	"crypto/tls"
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

// What an app says at a time goes to the client in one packet, over TLS too.
func TestAnEventIsOnePacket(t *testing.T) {
	t.Parallel()
	const events, most = 50, 60
	const event = "data: x\n\n"
	for name, secure := range map[string]bool{"without TLS": false, "over TLS": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			next := make(chan struct{})
			url := app(t, func(w http.ResponseWriter, _ *http.Request) {
				for range next {
					_, _ = io.WriteString(w, event)
					_ = http.NewResponseController(w).Flush()
				}
			}).URL
			g := protect(t, url, func(c *Config) {
				if secure {
					c.TLS = certificate(t)
				}
			})
			socket := dial(t, g.addr)
			c := socket
			if secure {
				c = tls.Client(socket, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // a test
			}
			fmt.Fprint(c, "GET /docs/a HTTP/1.1\r\nHost: a\r\n\r\n")
			next <- struct{}{}
			res, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Fatal(err)
			}
			b := make([]byte, len(event))
			before := uint32(0)
			for i := range events {
				if _, err := io.ReadFull(res.Body, b); err != nil || string(b) != event {
					t.Fatalf("event %d: %q, %v", i, b, err)
				}
				if i == 0 {
					before = segments(t, socket)
				}
				if i < events-1 {
					next <- struct{}{}
				}
			}
			close(next)
			if n := segments(t, socket) - before; n > most {
				t.Errorf("%d packets for %d events", n, events)
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
