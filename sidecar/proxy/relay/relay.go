package relay

import (
	"context"
	"net"
	"net/netip"
	"net/url"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/tracing"
	"github.com/bearerguard/bearerguard/sidecar/gate"
	ends "github.com/bearerguard/bearerguard/sidecar/proxy/exchange"
	"github.com/bearerguard/bearerguard/sidecar/proxy/head"
	"github.com/bearerguard/bearerguard/sidecar/telemetry"
)

// Config is what a Relay is made from.
type Config struct {
	// Gate judges every request.
	Gate *gate.Gate
	// Limits bound what clients and the app may use.
	Limits Limits
	// Trusts says whether a peer is a proxy whose X-Forwarded-* and Forwarded fields are passed on.
	Trusts func(netip.Addr) bool
	// Observe is told of every request; nil means nobody. The record and its strings are valid during the call only.
	Observe func(*telemetry.Record)
	// HTTP2 takes over a connection whose client speaks HTTP/2 with prior knowledge (RFC 9113 section 3.3), of which read
	// has been read: the preface, and what came with it. It must not block; release is then called by whoever closes c.
	HTTP2 func(c net.Conn, read []byte, info Info, release func())
	// Crowd is the number of connections from which on memory matters more than a moment's work: waits that are
	// likely to be long go on without a goroutine at once. 0 means 1000.
	Crowd int
	// Tracer traces requests; nil: none is.
	Tracer *tracing.Tracer
	// Log gets what goes wrong with connections.
	Log logr.Logger
	// Now is the clock.
	Now func() time.Time
}

// Limits bound what clients and the app may use. Zero durations mean no bound.
type Limits struct {
	// Head bounds heads of requests, and the number of fields in their trailer sections.
	Head head.Limits
	// Target bounds a request target, and Body a request's body, in bytes; 0 means no bound. What the rules say of a body
	// holds as well.
	Target int
	Body   int64
	// ReadHead bounds the time for a head, Idle that between requests.
	ReadHead, Idle time.Duration
	// Dial bounds connecting to the app, Response the wait for the head of its answer.
	Dial, Response time.Duration
	// Write bounds how long a client may take none of its answer.
	Write time.Duration
	// BodyRate is how many bytes a second a request's body has to come in at, on average, once it has been waited for as
	// long as ReadHead; 0 means any.
	BodyRate int64
	// Waiting bounds the requests of one HTTP/2 connection that wait for keys at a time; 0 means no bound for it alone.
	Waiting int
}

// Info is what is known of a client connection before its first byte.
type Info struct {
	// Port is the port that the client dialled.
	Port int
	// Upstream is where its requests go: scheme and host.
	Upstream *url.URL
	// Secure says that the client speaks TLS.
	Secure bool
	// Captured says that the connection was redirected here, as all are that come to the pod but those that are excluded.
	Captured bool
	// Remote is the peer.
	Remote netip.Addr
	// ClientCert is what the verified certificate of a TLS client says; nil without one.
	ClientCert *decision.ClientCert
}

// Relay serves client connections. It is safe for concurrent use.
type Relay struct {
	Config

	ctx      context.Context //nolint:containedctx // ends waits for keys and dials; Serve has many callers and one life
	stop     context.CancelFunc
	every    time.Duration          // how often the sweep looks
	oneCPU   bool                   // there is but one processor for goroutines
	tick     atomic.Int64           // now, to the last sweep, in Unix nanoseconds
	date     atomic.Pointer[[]byte] // the Date field of this second
	draining atomic.Bool            // connections end with their next answer
	closing  atomic.Bool            // those without a request end at once
	crowded  atomic.Bool            // there are many connections
	stalled  atomic.Int64           // answers that clients do not take
	long     atomic.Int64           // long answers under way
	gathered ends.Gathered
	upgrades upgrades
	foreign  foreigners
	trim     trim          // of the sweep alone
	reads    *lot          // nil: nothing waits for reading without a goroutine
	writes   *lot          // the same for writing
	gone     chan struct{} // holds one while a connection has ended since Wait looked

	mu    sync.Mutex
	conns map[*conn]struct{}  // guarded by mu
	http2 map[*HTTP2]struct{} // guarded by mu
}

// New returns a relay. Close must be called to end it.
func New(c Config) *Relay {
	r := &Relay{Config: c, conns: map[*conn]struct{}{}, http2: map[*HTTP2]struct{}{}, gone: make(chan struct{}, 1)}
	r.foreign.log = c.Log
	r.every = r.Limits.every()
	r.oneCPU = runtime.GOMAXPROCS(0) == 1
	if r.Crowd == 0 {
		r.Crowd = 1000
	}
	r.ctx, r.stop = context.WithCancel(context.Background())
	r.reads, r.writes = newLot(r, false), newLot(r, true)
	r.look(time.Now())
	go r.sweep(r.ctx)
	return r
}

// yield lets others go first before something is written, as steady says. With several processors they are not kept from
// it, and to change places costs more than it gives.
func (r *Relay) yield() {
	if r.oneCPU {
		runtime.Gosched()
	}
}

// Serve serves a connection until it ends, closes it, and calls release, unless HTTP2 has taken it over. It may return
// before that, when there is nothing to do.
func (r *Relay) Serve(nc net.Conn, info Info, release func()) {
	c := newConn(r, nc, info)
	c.release = release
	r.mu.Lock()
	r.conns[c] = struct{}{}
	if len(r.conns) >= r.Crowd {
		r.crowded.Store(true)
	}
	r.mu.Unlock()
	c.run()
}

func (r *Relay) forget(c *conn) {
	r.mu.Lock()
	delete(r.conns, c)
	r.mu.Unlock()
	select {
	case r.gone <- struct{}{}:
	default:
	}
}

// Retire has every connection end after its next answer.
func (r *Relay) Retire() { r.draining.Store(true) }

// Stay takes Retire back.
func (r *Relay) Stay() { r.draining.Store(false) }

// Clear ends the connections that wait for a next request, and asks WebSockets to go; it takes new ones still.
func (r *Relay) Clear() {
	r.upgrades.goAway()
	for _, c := range r.all() {
		c.clear()
	}
}

// Drain ends idle connections, and others after the request that they are at. WebSockets get a close frame.
func (r *Relay) Drain() {
	r.draining.Store(true)
	r.closing.Store(true)
	r.upgrades.goAway()
	for _, c := range r.all() {
		c.retire()
	}
}

// Wait returns when there is no connection, or with the context's error. It must not be called twice at one time.
func (r *Relay) Wait(ctx context.Context) error {
	for len(r.all()) > 0 {
		select {
		case <-r.gone:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// Close ends all connections at once.
func (r *Relay) Close() {
	r.stop()
	r.upgrades.closeAll()
	for _, c := range r.all() {
		c.mu.Lock()
		c.expire(endNow)
		c.mu.Unlock()
	}
	for _, h := range r.allHTTP2() {
		h.Close()
	}
	r.reads.close()
	r.writes.close()
}

func (r *Relay) all() []*conn {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]*conn, 0, len(r.conns))
	for c := range r.conns {
		out = append(out, c)
	}
	return out
}
