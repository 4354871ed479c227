package exchange

import (
	"cmp"
	"context"
	"net/netip"
	"net/url"
	"slices"
	"time"

	"github.com/go-logr/logr"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/tracing"
	"github.com/bearerguard/bearerguard/sidecar/gate"
	"github.com/bearerguard/bearerguard/sidecar/proxy/head"
	"github.com/bearerguard/bearerguard/sidecar/proxy/loop"
	"github.com/bearerguard/bearerguard/sidecar/telemetry"
)

// Config is what all exchanges share. It is not changed once it is used.
type Config struct {
	// Gate judges every request.
	Gate *gate.Gate
	// Limits bound what clients and the app may use.
	Limits Limits
	// Observe is told of every request; nil means nobody. The record and its strings are valid during the call only.
	Observe func(*telemetry.Record)
	// Tracer traces requests; nil: none is.
	Tracer *tracing.Tracer
	// Foreign returns what is to be said of a connection on which another protocol is spoken.
	Foreign func(head.Foreign, *Info) string
	// Gathered counts bodies that are waited for.
	Gathered *Shares
	// Heads counts heads that have not come as a whole, or whose requests wait for their verdict.
	Heads *Shares
	// Log gets what goes wrong.
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
	// Waiting bounds the requests of a client connection of HTTP/2 that wait for keys at a time.
	Waiting int32
}

// Host is what the exchanges of one loop share. It belongs to the loop.
type Host struct {
	*Config
	// Loop is the loop.
	Loop *loop.Loop
	// Draining says that connections end with their next answer.
	Draining bool
	// Closing says that connections without a request end at once, but for those whose handshake was under way when it was set: these have
	// until Ends for it and for a first request.
	Closing bool
	// Ends is when that is, with Closing.
	Ends time.Time

	ctx       context.Context //nolint:containedctx // ends with the loop
	date      []byte
	at        int64 // the second of date
	free      loop.Spare[Exchange]
	answer    Answer         // whose head is being sent
	fields    [][]head.Field // storage for those of requests
	inquiries loop.Spare[inquiry]
	record    telemetry.Record // of the request that the observer is being told of
	why       gate.Why         // and why it was refused
	leaving   bool             // WebSockets are asked to go, those too that come now
	tunnels   map[*tunnel]struct{}
}

// Member is a client connection, which serves one of the loop's.
type Member interface {
	loop.Handler
	// Clear ends the connection if it waits for a next request; with fresh, also if it waits for its first.
	Clear(fresh bool)
	// Rests is how long the connection has waited for a next request, as far as Limits.Idle bounds that; 0: it does not.
	Rests() time.Duration
	// End ends the connection, whatever goes on.
	End()
}

// each goes through the client connections. Those that have become tunnels are no members.
func (h *Host) each(do func(Member)) {
	h.Loop.Each(func(served loop.Handler) {
		if m, ok := served.(Member); ok {
			do(m)
		}
	})
}

// Within is how long what a client has d for may take, 0 being for ever: until Ends, if that is sooner.
func (h *Host) Within(d time.Duration) time.Duration {
	if !h.Closing {
		return d
	}
	left := max(h.Ends.Sub(h.Loop.Now()), 1)
	if d == 0 {
		return left
	}
	return min(d, left)
}

// Leaving reports whether clients have been asked to go, which those have to be asked as well that come now.
func (h *Host) Leaving() bool { return h.leaving }

// Stay takes Clear back for those that come now.
func (h *Host) Stay() { h.leaving = false }

// Clear is that of all members. WebSockets are asked to go, from now on.
func (h *Host) Clear(fresh bool) {
	h.leaving = true
	h.each(func(m Member) { m.Clear(fresh) })
	for t := range h.tunnels {
		t.leave(closeGoingAway)
	}
}

// leastRest is how long a connection has waited for a next request before it makes way: one in use waits now and then.
const leastRest = time.Second

// MakeWay ends up to n of those members that have waited for a next request for a while, those first that have for longest.
func (h *Host) MakeWay(n int, among func(Member) bool) {
	var all []Member
	h.each(func(m Member) {
		if m.Rests() >= leastRest && among(m) {
			all = append(all, m)
		}
	})
	slices.SortFunc(all, func(a, b Member) int { return cmp.Compare(b.Rests(), a.Rests()) })
	for _, m := range all[:min(n, len(all))] {
		m.Clear(false)
	}
}

// Rested is how long who rests has done so, by the timer that ends it.
func (h *Host) Rested(t *loop.Timer) time.Duration {
	if !t.On() {
		return 0
	}
	return h.Limits.Idle - h.Loop.Left(t)
}

// End ends all that goes on.
func (h *Host) End() {
	for t := range h.tunnels { // whose clients are members from then on
		t.end()
	}
	h.each(Member.End)
}

// NewHost returns the host of a loop. Verdicts that are waited for are waited for no longer once ctx is done.
func NewHost(ctx context.Context, c *Config, l *loop.Loop) *Host {
	return &Host{Config: c, Loop: l, ctx: ctx, tunnels: map[*tunnel]struct{}{}}
}

// Date is the Date field of this second (RFC 9110 section 6.6.1), as HTTP/1.1 has it.
func (h *Host) Date() []byte {
	now := h.Loop.Now()
	if s := now.Unix(); s != h.at || h.date == nil {
		h.at, h.date = s, now.UTC().AppendFormat(h.date[:0], "Mon, 02 Jan 2006 15:04:05 GMT")
	}
	return h.date
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
	// Trusted says that the peer is a proxy whose X-Forwarded-* and Forwarded fields are passed on.
	Trusted bool
	// Remote is the peer.
	Remote netip.Addr
	// ClientCert is what the verified certificate of a TLS client says; nil without one.
	ClientCert *decision.ClientCert
}
