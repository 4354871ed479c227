package relay

import (
	"math"
	"net/http"
	"sync"
	"time"

	"github.com/bearerguard/bearerguard/sidecar/gate"
)

// HTTP2 is a client connection that speaks HTTP/2, of which somebody else reads requests and writes answers. They go to
// the app over HTTP/1.1, on connections that serve no other client: as many as it has requests at a time, kept for a
// moment each.
type HTTP2 struct {
	relay   *Relay
	info    Info
	givenUp func(at time.Time)
	waiting gate.Places // for requests that wait for keys

	mu     sync.Mutex
	conn   *conn                // guarded by mu: what is known of the client, since its first request; it is not served
	closed bool                 // guarded by mu
	idle   []kept               // guarded by mu; what was used last is the last
	calls  map[watched]struct{} // guarded by mu
}

// watched is a request that the sweep looks at.
type watched interface {
	look(now int64, every time.Duration) (idle bool)
	cancel()
}

// kept is an idle connection to the app.
type kept struct {
	*upstream
	since int64 // by the sweep's clock
}

// NewHTTP2 takes in a client connection that speaks HTTP/2. givenUp is called after each request that the client has not
// waited for, with the time it came at. Close must be called when the connection ends.
func (r *Relay) NewHTTP2(info Info, givenUp func(at time.Time)) *HTTP2 {
	h := &HTTP2{relay: r, info: info, givenUp: givenUp}
	h.waiting.Most = math.MaxInt32
	if n := r.Limits.Waiting; n > 0 {
		h.waiting.Most = int32(min(n, math.MaxInt32)) //nolint:gosec // it fits
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.http2[h] = struct{}{}
	return h
}

// Waiting are the places for the client's requests that wait for keys.
func (h *HTTP2) Waiting() *gate.Places { return &h.waiting }

// Close ends all connections to the app, and what still runs.
func (h *HTTP2) Close() {
	r := h.relay
	r.mu.Lock()
	delete(r.http2, h)
	r.mu.Unlock()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for _, k := range h.idle {
		k.close()
	}
	h.idle = nil
	for c := range h.calls {
		c.cancel()
	}
}

// Serve serves one request. It takes of w what net/http's server for HTTP/2 promises: writes do not wait for the
// request's body, nor the other way round. Where an answer cannot be finished, it panics with http.ErrAbortHandler.
func (h *HTTP2) Serve(w http.ResponseWriter, r *http.Request) {
	c := newCall(h, w, r)
	defer c.finish()
	if !c.serve() {
		panic(http.ErrAbortHandler)
	}
}

// begin takes in a request, and returns what is known of the client.
func (h *HTTP2) begin(c watched) *conn {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.conn == nil {
		h.conn, h.calls = newConn(h.relay, nil, h.info), map[watched]struct{}{}
	}
	h.calls[c] = struct{}{}
	return h.conn
}

// end forgets a request.
func (h *HTTP2) end(c watched) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.calls, c)
}

// take returns a connection that was kept; nil if there is none.
func (h *HTTP2) take() *upstream {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := len(h.idle) - 1
	if n < 0 {
		return nil
	}
	u := h.idle[n].upstream
	h.idle[n] = kept{}
	h.idle = h.idle[:n]
	return u
}

// keep takes a connection that can be used again.
func (h *HTTP2) keep(u *upstream) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		u.close()
		return
	}
	h.idle = append(h.idle, kept{u, h.relay.tick.Load()})
}

// look is the sweep's: it ends what has been idle or waited for too long. It returns how many goroutines have nothing to do.
func (h *HTTP2) look(now int64, every time.Duration) (idle int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	for n < len(h.idle) && time.Duration(now-h.idle[n].since) > upstreamIdle {
		h.idle[n].close()
		n++
	}
	h.idle = h.idle[:copy(h.idle, h.idle[n:])]
	for c := range h.calls {
		if c.look(now, every) {
			idle++
		}
	}
	if len(h.calls) == 0 {
		idle++
	}
	return idle
}

func (r *Relay) allHTTP2() []*HTTP2 {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]*HTTP2, 0, len(r.http2))
	for h := range r.http2 {
		out = append(out, h)
	}
	return out
}
