package tracing

import (
	"encoding/binary"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// Sink takes spans that have ended.
type Sink interface {
	// Add takes so many encoded spans. It must not block, and keeps nothing of encoded.
	Add(encoded []byte, spans int)
}

// Options say what is sampled.
type Options struct {
	// Ratio is the part of the traces begun here that are sampled, 0 to 1.
	Ratio float64
	// PerSecond bounds the traces that are sampled in a second, whoever wants them, with bursts of as many.
	PerSecond int
}

// Tracer begins spans. It is safe for concurrent use.
type Tracer struct {
	sink   Sink
	reject uint64 // of the 2^56 values that a trace id's random part has, those that are not sampled
	limit  *rate.Limiter
	over   atomic.Uint64
}

const randomBits = 56 // of a trace id (W3C Trace Context level 2 section 3.2.2.3)

// NewTracer returns a tracer that hands spans to sink.
func NewTracer(sink Sink, o Options) *Tracer {
	reject := uint64((1 - min(max(o.Ratio, 0), 1)) * (1 << randomBits))
	return &Tracer{sink: sink, reject: reject, limit: rate.NewLimiter(rate.Limit(o.PerSecond), max(o.PerSecond, 1))}
}

// Over returns how many requests would have been sampled but for Options.PerSecond.
func (t *Tracer) Over() uint64 { return t.over.Load() }

// Start begins a span for a request that came with these values of the field traceparent, or returns nil if its trace is not
// sampled. The caller's word counts: a trace that it samples is, one that it does not is not. Where it says nothing, or nothing
// that can be read, the trace begins here. It allocates nothing where the result is nil.
func (t *Tracer) Start(traceparent []string, kind Kind, now time.Time) *Span {
	var from Context
	ok := false
	if len(traceparent) == 1 {
		from, ok = Parse(traceparent[0])
	}
	if ok {
		if from.Flags&Sampled == 0 {
			return nil
		}
	} else if from, ok = t.root(); !ok {
		return nil
	}
	if !t.limit.AllowN(now, 1) {
		t.over.Add(1)
		return nil
	}
	s := pool.Get().(*Span)
	s.tracer, s.kind, s.start = t, kind, now
	s.parent, s.remote = from.Span, from.Span != (SpanID{})
	s.own = Context{from.Trace, NewSpanID(), from.Flags}
	return s
}

// root returns the context of a new trace, and whether it is sampled.
func (t *Tracer) root() (c Context, sampled bool) {
	low := rand.Uint64() //nolint:gosec // as above
	if low&(1<<randomBits-1) < t.reject {
		return Context{}, false
	}
	binary.BigEndian.PutUint64(c.Trace[:8], rand.Uint64()|1) //nolint:gosec // as above; not zero
	binary.BigEndian.PutUint64(c.Trace[8:], low)
	c.Flags = Sampled | Random
	return c, true
}
