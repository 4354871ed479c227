package relay

import (
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// Watched is a request of an HTTP/2 client that somebody else than HTTP2.Serve forwards. It is the writer of the answer, and
// ends a client that takes none of it for as long as Limits.Write.
type Watched struct {
	http.ResponseWriter
	h    *HTTP2
	body upload // how fast it comes; it is sent by others

	mu    sync.Mutex
	phase phase  // guarded by mu
	since int64  // guarded by mu: when the phase began, by the sweep's clock
	end   ending // guarded by mu
}

// Watch begins to watch a request. Done must be called before the handler returns. If paced, reads of the request's body fail
// once it comes slower than Limits.BodyRate; streams of messages, of which nobody knows when the next is due, are not.
func (h *HTTP2) Watch(w http.ResponseWriter, r *http.Request, paced bool) *Watched {
	v := &Watched{ResponseWriter: w, h: h, phase: phaseBusy, since: h.relay.tick.Load()}
	if paced && r.ContentLength != 0 {
		r.Body = &pacedBody{ReadCloser: r.Body, v: v}
	}
	h.begin(v)
	return v
}

// Done ends the watch.
func (v *Watched) Done() { v.h.end(v) }

// Slow reports whether the request's body came too slowly.
func (v *Watched) Slow() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.end == endBodyRate
}

// Write implements http.ResponseWriter.
func (v *Watched) Write(b []byte) (n int, err error) {
	for len(b) > 0 {
		if !v.enter(phaseWriting) {
			return n, net.ErrClosed
		}
		m, err := v.ResponseWriter.Write(b[:min(len(b), mediumBlock)])
		n, b = n+m, b[m:]
		if err != nil {
			return n, err
		}
	}
	v.enter(phaseStream)
	return n, nil
}

// FlushError sends what has been written, as http.ResponseController.Flush asks for.
func (v *Watched) FlushError() error {
	if !v.enter(phaseWriting) {
		return net.ErrClosed
	}
	err := http.NewResponseController(v.ResponseWriter).Flush()
	v.enter(phaseStream)
	return err
}

// enter notes what the answer does from now on. It returns false if it has been ended.
func (v *Watched) enter(p phase) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.phase, v.since = p, v.h.relay.tick.Load()
	return v.end != endNow
}

// look is the sweep's. It reports whether nothing happens.
func (v *Watched) look(now int64, every time.Duration) (idle bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	l, age := &v.h.relay.Limits, time.Duration(now-v.since)
	switch {
	case v.end != endNot:
		return false
	case v.phase == phaseWriting && l.Write > 0 && age > l.Write:
		v.end = endNow
		_ = http.NewResponseController(v.ResponseWriter).SetWriteDeadline(past) // the stream is reset
	case v.body.slow(l, every):
		v.end = endBodyRate
		_ = http.NewResponseController(v.ResponseWriter).SetReadDeadline(past)
	}
	return v.end == endNot && v.phase == phaseStream && age > time.Second
}

// cancel implements watched; the context of the request ends what there is to end.
func (v *Watched) cancel() {}

// pacedBody notes how fast a body comes.
type pacedBody struct {
	io.ReadCloser
	v *Watched
}

// Read reads the body.
func (b *pacedBody) Read(p []byte) (int, error) {
	pace := &b.v.body
	pace.reading.Store(true)
	n, err := b.ReadCloser.Read(p)
	pace.reading.Store(false)
	pace.bytes.Add(int64(n))
	return n, err
}
