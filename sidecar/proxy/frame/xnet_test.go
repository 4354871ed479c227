package frame

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// loop owns a connection of ours over a real one: one goroutine reads, and one does all else.
type loop struct {
	net  net.Conn
	conn *Conn
	read chan []byte
	do   chan func() // to be done by the owner
}

func newLoop(c net.Conn) *loop {
	return &loop{net: c, read: make(chan []byte, 1024), do: make(chan func(), 64)}
}

func (l *loop) run() error {
	defer l.net.Close()
	go func() {
		defer close(l.read)
		for {
			b := make([]byte, 5000)
			n, err := l.net.Read(b)
			if err != nil {
				return
			}
			l.read <- b[:n]
		}
	}()
	var unfed []byte
	for {
		for len(l.conn.Output()) > 0 {
			if _, err := l.net.Write(l.conn.Output()); err != nil {
				return err
			}
			l.conn.Wrote()
		}
		if l.conn.err != nil {
			return l.conn.err
		}
		select {
		case b, ok := <-l.read:
			if !ok {
				return io.EOF
			}
			unfed = append(unfed, b...)
			n, _ := l.conn.Feed(unfed, time.Now())
			unfed = append(unfed[:0], unfed[n:]...)
		case f := <-l.do:
			f()
		}
	}
}

// echo answers with what it gets, as it comes, and a trailer.
type echo struct {
	recorder
	conn *Conn
	wait map[uint32][]byte // has come and could not be sent
	last map[uint32]bool
}

func (e *echo) Headers(id uint32, h *Head) {
	if h.Path == "/never" {
		return
	}
	e.conn.Headers(id, list(":status: 200", "trailer: total"), More)
	e.last[id] = bool(h.End)
	e.flush(id)
}

func (e *echo) Data(id uint32, p []byte, end End) {
	e.wait[id] = append(e.wait[id], p...)
	e.last[id] = bool(end)
	e.flush(id)
}

func (e *echo) Trailers(id uint32, _ []Field) {
	e.last[id] = true
	e.flush(id)
}

func (e *echo) Sent(id uint32, _ int) { e.flush(id) }

func (e *echo) flush(id uint32) {
	n, _ := e.conn.Data(id, e.wait[id], More)
	e.conn.Took(id, n)
	e.wait[id] = e.wait[id][n:]
	if len(e.wait[id]) == 0 && e.last[id] {
		e.conn.Headers(id, list("total: yes"), Last)
		e.last[id] = false
	}
}

// TestTransportOfGo has golang.org/x/net/http2's client talk to our server.
func TestTransportOfGo(t *testing.T) {
	t.Parallel()
	ours, theirs := net.Pipe()
	e := &echo{wait: map[uint32][]byte{}, last: map[uint32]bool{}}
	l := newLoop(ours)
	l.conn = NewServer(Config{}, &Pool{}, e)
	e.conn = l.conn
	ended := make(chan error, 1)
	go func() { ended <- l.run() }()
	tr := &http2.Transport{AllowHTTP: true, DialTLSContext: func(context.Context, string, string, *tls.Config) (net.Conn, error) { return theirs, nil }} //nolint:staticcheck // deprecated
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			body := make([]byte, rand.IntN(300_000))
			for i := range body {
				body[i] = byte(rand.Uint32())
			}
			r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://x/"+itoa(i), io.MultiReader(bytes.NewReader(body))) // of unknown length
			if i%2 == 0 {
				r.ContentLength = int64(len(body))
			}
			resp, err := tr.RoundTrip(r) //nolint:staticcheck // x/net's own is what is compared with
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			got, err := io.ReadAll(resp.Body)
			if err != nil || !bytes.Equal(got, body) || resp.Trailer.Get("Total") != "yes" {
				t.Errorf("%d bytes of %d came back, trailers %v, error %v", len(got), len(body), resp.Trailer, err)
			}
		})
	}
	all.Wait()

	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		r, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://x/never", nil)
		_, _ = tr.RoundTrip(r) //nolint:staticcheck // as above
	}()
	asked := func(want int) { // by the owner
		for done := make(chan bool, 1); ; {
			l.do <- func() { done <- l.conn.streams.Len() == want }
			if <-done {
				return
			}
		}
	}
	asked(1)
	cancel()
	asked(0)
	theirs.Close()
	if err := <-ended; !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("the connection ends by %v", err)
	}
}

// upload sends a body as the server takes it.
type upload struct {
	conn *Conn
	left map[uint32][]byte
	got  map[uint32][]byte
	ends chan string
}

func (u *upload) pump(id uint32) {
	n, _ := u.conn.Data(id, u.left[id], Last)
	u.left[id] = u.left[id][n:]
}

func (u *upload) Sent(id uint32, _ int) {
	if len(u.left[id]) > 0 {
		u.pump(id)
	}
}

func (u *upload) Data(id uint32, p []byte, end End) {
	u.got[id] = append(u.got[id], p...)
	u.conn.Took(id, len(p))
	if end {
		u.ends <- fmt.Sprintf("%d without trailers", id)
	}
}

func (u *upload) Headers(id uint32, h *Head) {
	if h.Status != 200 || h.End {
		u.ends <- fmt.Sprintf("%d has status %d", id, h.Status)
	}
}

func (u *upload) Trailers(uint32, []Field) { u.ends <- "" }

func (u *upload) Reset(id uint32, code Code, why error) {
	u.ends <- fmt.Sprintf("%d: %v %v", id, code, why)
}

// TestServerOfGo has our client talk to golang.org/x/net/http2's server.
func TestServerOfGo(t *testing.T) {
	t.Parallel()
	ours, theirs := net.Pipe()
	go (&http2.Server{}).ServeConn(theirs, &http2.ServeConnOpts{Context: t.Context(), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { //nolint:staticcheck // deprecated
		w.Header().Set("Trailer", "Total")
		_ = http.NewResponseController(w).EnableFullDuplex()
		_, _ = io.Copy(w, r.Body)
		w.Header().Set("Total", "yes")
	})})
	u := &upload{left: map[uint32][]byte{}, got: map[uint32][]byte{}, ends: make(chan string, 100)}
	l := newLoop(ours)
	l.conn = NewClient(Config{}, &Pool{}, u)
	u.conn = l.conn
	ended := make(chan error, 1)
	go func() { ended <- l.run() }()
	bodies := map[uint32][]byte{}
	l.do <- func() {
		for range 40 {
			id := ask(t, u.conn, More)
			body := make([]byte, 1+rand.IntN(300_000))
			for i := range body {
				body[i] = byte(rand.Uint32())
			}
			bodies[id], u.left[id] = body, body
			u.pump(id)
		}
	}
	for range 40 {
		if problem := <-u.ends; problem != "" {
			t.Errorf("stream %s", problem)
		}
	}
	done := make(chan bool)
	l.do <- func() {
		for id, body := range bodies {
			if !bytes.Equal(body, u.got[id]) {
				t.Errorf("stream %d: %d bytes came back of %d", id, len(u.got[id]), len(body))
			}
		}
		if u.conn.streams.Len() != 0 {
			t.Errorf("%d streams are left", u.conn.streams.Len())
		}
		close(done)
	}
	<-done
	ours.Close()
	<-ended
}
