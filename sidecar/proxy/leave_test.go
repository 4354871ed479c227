package proxy

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// A proxy that leaves takes requests until it is stopped, and sends the clients that it has away: HTTP/1.1 with its answers
// and, after Limits.Linger, by ending idle connections, HTTP/2 with GOAWAY.
func TestLeave(t *testing.T) {
	t.Parallel()
	g := protect(t, echo(t).URL, func(c *Config) { c.Limits = Limits{Linger: 3 * time.Second, Drain: 2 * time.Second} })
	const get = "GET /docs/a HTTP/1.1\r\nHost: a\r\n\r\n"
	busy, idle, two := dial(t, g.addr), dial(t, g.addr), client(t, true)
	fromBusy, fromIdle := bufio.NewReader(busy), bufio.NewReader(idle)
	fmt.Fprint(busy, get)
	fmt.Fprint(idle, get)
	for _, r := range []*bufio.Reader{fromBusy, fromIdle} {
		res, err := http.ReadResponse(r, nil)
		if err != nil || res.Close {
			t.Fatalf("before: %v, %+v", err, res)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
	}
	first := connection(t, two, g.addr)
	g.Leave()
	eventually(t, "answers ask for the end", func() bool {
		res, _ := ask(t, client(t, false), request(t, "GET", "http://"+g.addr+"/docs/a", nil))
		return res.StatusCode == 200 && res.Close
	})
	fmt.Fprint(busy, get)
	if res, err := http.ReadResponse(fromBusy, nil); err != nil || res.StatusCode != 200 || !res.Close {
		t.Errorf("a connection from before: %v, %+v; want 200 and the end", err, res)
	}
	if _, err := fromIdle.ReadByte(); err != io.EOF { //nolint:errorlint // the end of the connection
		t.Errorf("an idle connection: %v, want its end", err)
	}
	eventually(t, "an HTTP/2 client takes another connection", func() bool { return connection(t, two, g.addr) != first })
	if g.Draining() {
		t.Error("it says that it drains, though it takes requests")
	}
	if got := verdict(t, client(t, false), request(t, "GET", "http://"+g.addr+"/docs/a", nil)); got != "200" {
		t.Errorf("a new connection: %s", got)
	}
	g.stop()
	if err := <-g.stopped; err != nil {
		t.Error(err)
	}
	g.stopped <- nil
}

// connection asks once and returns the address that the client did it from.
func connection(t *testing.T, c *http.Client, addr string) (local string) {
	t.Helper()
	r := request(t, "GET", "http://"+addr+"/docs/a", nil)
	r = r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
		GotConn: func(i httptrace.GotConnInfo) { local = i.Conn.LocalAddr().String() },
	}))
	if got := verdict(t, c, r); got != "200" {
		t.Errorf("HTTP/2: %s", got)
	}
	return local
}

// A WebSocket gets its close frame when a proxy that leaves has waited, and one that comes later gets it at once.
func TestLeaveClosesWebSockets(t *testing.T) {
	t.Parallel()
	g := protect(t, webSocket(t), func(c *Config) { c.Limits = Limits{Linger: 50 * time.Millisecond, Drain: 2 * time.Second} })
	_, before, _ := upgrade(t, g.addr, "/docs/live")
	if _, _, err := readFrame(before); err != nil {
		t.Fatal(err)
	}
	g.Leave()
	goingAway := func(r *bufio.Reader) bool {
		op, payload, err := readFrame(r)
		return err == nil && op == 8 && bytes.Equal(payload, []byte{0x03, 0xe9})
	}
	if !goingAway(before) {
		t.Error("from before: no close frame with 1001")
	}
	if _, later, _ := upgrade(t, g.addr, "/docs/live"); !goingAway(later) {
		t.Error("from later: no close frame with 1001")
	}
}

// A connection of HTTP/2 that comes while the proxy leaves is told so with its first request, and not before it.
func TestLeaveServesHTTP2ThatComesLater(t *testing.T) {
	t.Parallel()
	g := protect(t, webSocket(t), func(c *Config) { c.Limits = Limits{Linger: time.Millisecond, Drain: 2 * time.Second} })
	_, live, _ := upgrade(t, g.addr, "/docs/live")
	if _, _, err := readFrame(live); err != nil {
		t.Fatal(err)
	}
	g.Leave()
	if op, _, err := readFrame(live); err != nil || op != 8 {
		t.Fatalf("clients are not asked to go: %d, %v", op, err)
	}
	w := preface(t, g.addr) // whatever is said before a request is dropped here
	_ = w.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: w.fields("GET", "/orders/1"), EndHeaders: true, EndStream: true})
	for _, want := range []string{"GOAWAY NO_ERROR", "401"} {
		if got := w.end(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// A proxy that stays after all keeps connections again, HTTP/2 too; what it is told last holds.
func TestStay(t *testing.T) {
	t.Parallel()
	g := protect(t, echo(t).URL, func(c *Config) { c.Limits = Limits{Linger: 20 * time.Millisecond, Drain: 2 * time.Second} })
	closes := func() bool {
		res, _ := ask(t, client(t, false), request(t, "GET", "http://"+g.addr+"/docs/a", nil))
		return res.Close
	}
	two := client(t, true)
	for range 3 {
		first := connection(t, two, g.addr)
		g.Leave()
		eventually(t, "answers ask for the end", closes)
		eventually(t, "an HTTP/2 client takes another connection", func() bool { return connection(t, two, g.addr) != first })
		g.Stay()
		eventually(t, "connections are kept", func() bool { return !closes() })
		eventually(t, "an HTTP/2 client keeps its connection", func() bool {
			now := connection(t, two, g.addr)
			return now == connection(t, two, g.addr)
		})
	}
	for range 100 {
		g.Leave()
		g.Stay()
	}
	eventually(t, "what was said last holds", func() bool { return !closes() })
}
