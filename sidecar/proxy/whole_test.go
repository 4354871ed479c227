package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/sidecar/proxy/exchange"
)

// An app that answers at the last byte of a body has got all of it, so the client's connection goes on, however early the
// answer comes.
func TestAnAnswerToAWholeBodyKeepsTheConnection(t *testing.T) {
	t.Parallel()
	inChunks := func(data []byte) string { return fmt.Sprintf("%x\r\n%s\r\n0\r\nX-End: 1\r\n\r\n", len(data), data) }
	for name, body := range map[string]struct {
		framing, text string
		times         int
	}{
		"of known length": {"Content-Length: 1000", string(make([]byte, 1000)), 5000},
		"in chunks":       {"Transfer-Encoding: chunked", inChunks(make([]byte, 1000)), 5000},
		"that is long":    {"Content-Length: 400000", string(make([]byte, 400000)), 500},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, server := pair(t)
			defer client.Close()
			p := open(t, Config{})
			p.loops.serve(server, exchange.Info{Port: 80, Upstream: promptApp(t), Remote: netip.MustParseAddr("127.0.0.1")}, func(netip.Addr) {})
			_ = client.SetDeadline(time.Now().Add(60 * time.Second))
			in := bufio.NewReader(client)
			for i := range body.times {
				_, _ = io.WriteString(client, "POST /a HTTP/1.1\r\nHost: a\r\n"+body.framing+"\r\n\r\n")
				_, _ = io.WriteString(client, body.text)
				res, err := http.ReadResponse(in, nil)
				if err != nil {
					t.Fatalf("request %d: %v", i, err)
				}
				_, _ = io.Copy(io.Discard, res.Body)
				if res.StatusCode != http.StatusOK || res.Close {
					t.Fatalf("request %d: status %d, close %v; want 200 and an open connection", i, res.StatusCode, res.Close)
				}
			}
		})
	}
}

// promptApp answers a request as soon as its last byte has come.
func promptApp(t *testing.T) *url.URL {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	serve := func(c net.Conn) {
		defer c.Close()
		for in := bufio.NewReaderSize(c, 64<<10); ; {
			req, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			if _, err := io.Copy(io.Discard, req.Body); err != nil {
				return
			}
			if _, err := c.Write([]byte(fastAnswer)); err != nil {
				return
			}
		}
	}
	go func() {
		for c, err := l.Accept(); err == nil; c, err = l.Accept() {
			go serve(c)
		}
	}()
	return &url.URL{Scheme: "http", Host: l.Addr().String()}
}

// An app may answer before it has taken a body. It gets the rest of that, too, if the client leaves then.
func TestAnAppThatAnswersEarlyGetsTheWholeBody(t *testing.T) {
	t.Parallel()
	if err := answersEarly(t, 100<<10, nil, func(string) {}); err != nil {
		t.Error(err)
	}
}

// answersEarly has an app answer before it takes a body of so many bytes, and the client leave. The app reads on after then, which gets its address, and it returns
// whether that gets all.
func answersEarly(t *testing.T, size int64, change func(*Config), then func(app string)) error {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	left := make(chan struct{})
	got := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		_ = c.(*net.TCPConn).SetReadBuffer(4 << 10)
		in := bufio.NewReader(c)
		req, err := http.ReadRequest(in)
		if err != nil {
			got <- err
			return
		}
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		<-left
		n, err := io.Copy(io.Discard, req.Body)
		if err == nil && n != size {
			err = fmt.Errorf("%d bytes", n)
		}
		got <- err
	}()
	g := protect(t, "http://"+l.Addr().String(), change)
	c := dial(t, g.addr)
	_, _ = fmt.Fprintf(c, "POST /docs/a HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", size, make([]byte, size))
	if res, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || res.StatusCode != http.StatusOK {
		t.Fatal(res, err)
	}
	_ = c.Close()
	until(t, "the client has left", patience, func() bool { return g.observer.open() == 0 })
	then(l.Addr().String())
	close(left)
	return <-got
}
