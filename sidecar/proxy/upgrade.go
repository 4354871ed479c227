package proxy

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
)

// upgradeWriter catches the moment when a connection stops being HTTP.
type upgradeWriter struct {
	http.ResponseWriter
	proxy     *Proxy
	strict    *strictConn
	websocket bool
}

// Unwrap lets http.ResponseController find what else the writer can do.
func (w *upgradeWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

var errEarlyBytes = errors.New("client sent something else before the answer to its upgrade")

// Hijack gives the connection away, to be copied from and to until an end closes or the proxy drains.
func (w *upgradeWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	if w.strict == nil || w.strict.refusal.Load() != nil {
		_ = c.Close()
		return nil, nil, errEarlyBytes
	}
	w.strict.raw()
	u := &upgraded{Conn: c, early: rw.Reader, websocket: w.websocket, ended: make(chan struct{})}
	w.proxy.upgrades.add(u)
	return u, bufio.NewReadWriter(rw.Reader, bufio.NewWriterSize(answerWriter{u}, 16<<10)), nil
}

// answerWriter writes the 101 answer, which must be out before a close frame may follow.
type answerWriter struct{ to *upgraded }

// Write writes the answer's head.
func (w answerWriter) Write(p []byte) (int, error) {
	w.to.mu.Lock()
	defer w.to.mu.Unlock()
	n, err := w.to.Conn.Write(p)
	w.to.answered = err == nil && bytes.HasSuffix(p, []byte("\r\n\r\n"))
	if w.to.leaving.Load() {
		w.to.sendClose()
	}
	return n, err
}

// upgraded is a client connection after the switch of protocols.
type upgraded struct {
	net.Conn
	early     *bufio.Reader // what came before the switch was done
	websocket bool
	owner     *upgrades
	ended     chan struct{}
	once      sync.Once
	leaving   atomic.Bool

	mu       sync.Mutex // held while writing to the client
	answered bool       // the 101 answer has been written
	frames   frames
	closed   bool // a close frame has been sent: nothing may follow
}

// Read reads from the client.
func (u *upgraded) Read(p []byte) (int, error) {
	if u.early.Buffered() > 0 {
		return u.early.Read(p)
	}
	return u.Conn.Read(p)
}

// Write writes what the app sends to the client. Once the proxy drains, a WebSocket gets a close frame after the frame
// that is being sent, and nothing more.
func (u *upgraded) Write(p []byte) (int, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closed {
		return len(p), nil
	}
	if !u.websocket {
		return u.Conn.Write(p)
	}
	for off := 0; off < len(p); {
		part := p[off : off+u.frames.scan(p[off:])]
		if n, err := u.Conn.Write(part); err != nil {
			return off + n, err
		}
		off += len(part)
		if u.leaving.Load() && u.sendClose() {
			return len(p), nil
		}
	}
	return len(p), nil
}

// leave asks the client of a WebSocket to go.
func (u *upgraded) leave() {
	u.leaving.Store(true)
	if u.mu.TryLock() { // else Write is at it and will see
		u.sendClose()
		u.mu.Unlock()
	}
}

// sendClose sends a close frame with the status "going away" (RFC 6455 section 7.4.1) unless a frame is half sent or
// the app has closed already. The client's own close frame, which it must answer with, tells the app.
func (u *upgraded) sendClose() bool {
	if !u.websocket || !u.answered || u.closed || u.frames.inside() || u.frames.closing {
		return u.closed
	}
	u.closed = true
	_, _ = u.Conn.Write([]byte{0x88, 2, 1001 >> 8, 1001 & 0xff}) // if the client is gone, all is well
	return true
}

// CloseWrite shuts down the writing side. After a close frame that is the end: a WebSocket's server closes first
// (RFC 6455 section 7.1.1).
func (u *upgraded) CloseWrite() error {
	u.mu.Lock()
	over := u.closed || u.websocket && u.frames.closing
	u.mu.Unlock()
	if over {
		return u.Close()
	}
	if w, ok := u.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return u.Conn.Close()
}

// Close closes the connection.
func (u *upgraded) Close() error {
	u.once.Do(func() {
		u.owner.remove(u)
		close(u.ended)
	})
	return u.Conn.Close()
}

// upgrades are the connections that have been upgraded. The zero value is ready.
type upgrades struct {
	mu      sync.Mutex
	open    map[*upgraded]struct{}
	leaving bool
}

func (s *upgrades) add(u *upgraded) {
	s.mu.Lock()
	u.owner = s
	if s.open == nil {
		s.open = map[*upgraded]struct{}{}
	}
	s.open[u] = struct{}{}
	leaving := s.leaving
	s.mu.Unlock()
	if leaving {
		u.leaving.Store(true) // the close frame follows the answer
	}
}

func (s *upgrades) remove(u *upgraded) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, u)
}

func (s *upgrades) all() []*upgraded {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]*upgraded, 0, len(s.open))
	for u := range s.open {
		out = append(out, u)
	}
	return out
}

// goAway asks all clients to go, and those that come from now on.
func (s *upgrades) goAway() {
	s.mu.Lock()
	s.leaving = true
	s.mu.Unlock()
	for _, u := range s.all() {
		u.leave()
	}
}

// wait returns when all are gone, or with the context's error.
func (s *upgrades) wait(ctx context.Context) error {
	for _, u := range s.all() {
		select {
		case <-u.ended:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (s *upgrades) closeAll() {
	for _, u := range s.all() {
		_ = u.Close()
	}
}
