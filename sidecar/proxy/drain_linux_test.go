//go:build !386 && !s390x && !loop_poll

package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// A drain does not end before clients have taken their last answers: those that say something meanwhile would lose what the kernel still has.
func TestDrainWaitsForSlowReaders(t *testing.T) {
	t.Parallel()
	const size = 1 << 20
	url := app(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(size))
		_, _ = io.WriteString(w, strings.Repeat("x", size))
	}).URL
	for name, begin := range map[string]func(t *testing.T, addr string) (c net.Conn, rest func() (n int)){
		"HTTP/1.1": func(t *testing.T, addr string) (net.Conn, func() int) {
			c := dial(t, addr)
			fmt.Fprint(c, "GET /docs/a HTTP/1.1\r\nHost: a\r\n\r\n")
			res, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Fatal(err)
			}
			return c, func() int {
				fmt.Fprint(c, "\r\n")
				n, _ := io.Copy(io.Discard, res.Body)
				return int(n)
			}
		},
		"HTTP/2": func(t *testing.T, addr string) (net.Conn, func() int) {
			w := preface(t, addr, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 2 * size})
			_ = w.WriteWindowUpdate(0, 2*size)
			_ = w.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: w.fields("GET", "/docs/a"), EndHeaders: true, EndStream: true})
			if _, err := w.ReadFrame(); err != nil {
				t.Fatal(err)
			}
			return w.conn, func() (n int) {
				for {
					f, err := w.ReadFrame()
					if err != nil {
						return n
					}
					if data, ok := f.(*http2.DataFrame); ok {
						n += len(data.Data())
						_ = w.WriteWindowUpdate(0, 1)
					}
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := protect(t, url, func(c *Config) { c.Limits = Limits{Drain: time.Minute} })
			c, rest := begin(t, g.addr)
			_ = c.(*net.TCPConn).SetReadBuffer(64 << 10)
			g.stop()
			select {
			case <-g.stopped:
				g.stopped <- nil
				t.Error("the drain ends while the answer is not taken")
			case <-time.After(2500 * time.Millisecond): // more than anything that is not taken is waited for
			}
			if n := rest(); n != size {
				t.Errorf("%d bytes arrive, of %d", n, size)
			}
		})
	}
}
