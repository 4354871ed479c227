package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"golang.org/x/net/http2"
)

// panics is a log that has the panics of a proxy.
type panics struct {
	mu   sync.Mutex
	text []string
}

func (p *panics) log() logr.Logger {
	return funcr.New(func(_, args string) {
		if strings.Contains(args, "panic") {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.text = append(p.text, args)
		}
	}, funcr.Options{})
}

func (p *panics) list() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text
}

// A head that comes in pieces lies in a block of the connection's, which is given back when a refusal ends the connection while it is
// looked at: what the client sends still must not be held against it.
func TestARefusedBodyBehindAHeadInPieces(t *testing.T) {
	t.Parallel()
	for what, rest := range map[string]string{
		"a body that is too long to be read":  "\r\nContent-Length: 10000000\r\n\r\nxxxx",
		"a body that is held back":            "\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n",
		"chunks that are none":                "\r\nTransfer-Encoding: chunked\r\n\r\nnone",
		"what is no head":                     "\r\n\x00",
		"a head that is refused, and another": "\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nGET / HTTP/1.1\r\n",
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			var p panics
			g := protect(t, echo(t).URL, func(c *Config) { c.Log = p.log() })
			c := dial(t, g.addr)
			fmt.Fprint(c, "GET /docs/a HTTP/1.1\r\nHost: a\r\n\r\nPOST /orders/1 HTTP/1.1\r\nHost: a") // in one packet
			r := bufio.NewReader(c)
			res, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, res.Body)
			if _, err := fmt.Fprint(c, rest); err != nil {
				t.Fatal(err)
			}
			res, err = http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, res.Body)
			if res.StatusCode/100 != 4 {
				t.Errorf("answer %s", res.Status)
			}
			if _, err := fmt.Fprint(c, strings.Repeat("x", 1000)); err != nil {
				t.Fatal(err)
			}
			if b, err := r.ReadByte(); err == nil || !strings.Contains(err.Error(), "EOF") {
				t.Errorf("behind the answer: %d, %v", b, err)
			}
			until(t, "the connection ends", 15*time.Second, func() bool { g.observer.mu.Lock(); defer g.observer.mu.Unlock(); return g.observer.conns == 0 })
			for _, text := range p.list() {
				t.Error(text)
			}
		})
	}
}

// unreadAnswer is a client of HTTP/2 whose first request has begun to be answered, by more than the kernel holds and without an end.
func unreadAnswer(t *testing.T) *wire2 {
	t.Helper()
	over := make(chan struct{})
	url := app(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, strings.Repeat("x", 16<<20))
		<-over
	}).URL
	t.Cleanup(func() { close(over) })
	g := protect(t, url, nil)
	w := preface(t, g.addr, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 30})
	_ = w.WriteWindowUpdate(0, 1<<30)
	_ = w.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: w.fields("GET", "/docs/a"), EndHeaders: true, EndStream: true})
	if _, err := w.ReadFrame(); err != nil {
		t.Fatal(err)
	}
	return w
}

// A client of HTTP/2 that closes its side gives up what it has asked for. What it has been sent is no victim of that.
func TestHTTP2WhoClosesItsSideGetsWhatIsOnItsWay(t *testing.T) {
	t.Parallel()
	w := unreadAnswer(t)
	_ = w.conn.(*net.TCPConn).CloseWrite()
	if n, err := io.Copy(io.Discard, w.conn); err != nil || n == 0 {
		t.Errorf("%d bytes, %v", n, err)
	}
}

// What a client has been answered before it closes its side it gets, though it has yet to take what came before that.
func TestHTTP2WhoClosesItsSideGetsAllAnswers(t *testing.T) {
	t.Parallel()
	w := unreadAnswer(t)
	const last = 21
	for id := uint32(3); id <= last; id += 2 { // refused, with and without a body
		method := []string{"GET", "HEAD"}[id/2%2]
		_ = w.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: w.fields(method, "/orders/1"), EndHeaders: true, EndStream: true})
	}
	_ = w.conn.(*net.TCPConn).CloseWrite()
	ended := map[uint32]bool{}
	for {
		f, err := w.ReadFrame()
		if err != nil {
			break
		}
		switch f := f.(type) {
		case *http2.HeadersFrame:
			ended[f.StreamID] = ended[f.StreamID] || f.StreamEnded()
		case *http2.DataFrame:
			ended[f.StreamID] = ended[f.StreamID] || f.StreamEnded()
		}
	}
	for id := uint32(3); id <= last; id += 2 {
		if !ended[id] {
			t.Errorf("the answer on stream %d does not end", id)
		}
	}
}

// A client that closes its side and reads nothing for a while gets the answer that has come as a whole, though another is waited for.
func TestWhoClosesItsSideGetsTheAnswerBeforeOneThatDoesNotCome(t *testing.T) {
	t.Parallel()
	const size = 1 << 20
	over := make(chan struct{})
	url := app(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/docs/never" {
			select {
			case <-over:
			case <-r.Context().Done():
			}
			return
		}
		_, _ = io.WriteString(w, strings.Repeat("x", size))
	}).URL
	t.Cleanup(func() { close(over) })
	g := protect(t, url, nil)
	c := dial(t, g.addr)
	_, _ = io.WriteString(c, "GET /docs/a HTTP/1.1\r\nHost: a\r\n\r\nGET /docs/never HTTP/1.1\r\nHost: a\r\n\r\n")
	_ = c.(*net.TCPConn).CloseWrite()
	<-time.After(2*halfClosedFor + time.Second)
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, res.Body); n != size || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
}

// halfClosedFor is how long a client that has closed its side is taken to wait for more.
const halfClosedFor = 2 * time.Second

// A client that takes a long answer slowly gets all of it, though it does not go on with the request that it has begun behind that.
func TestWhoIsSlowGetsTheAnswerBeforeAHeadThatDoesNotCome(t *testing.T) {
	t.Parallel()
	const size = 1 << 20
	url := app(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, strings.Repeat("x", size)) }).URL
	g := protect(t, url, func(c *Config) { c.Limits.ReadHead = 200 * time.Millisecond })
	c := dial(t, g.addr)
	_, _ = io.WriteString(c, "GET /docs/a HTTP/1.1\r\nHost: a\r\n\r\nG")
	<-time.After(time.Second)
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, res.Body); n != size || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
}
