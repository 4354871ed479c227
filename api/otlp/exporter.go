package otlp

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/bearerguard/bearerguard/api/printable"
	"github.com/bearerguard/bearerguard/api/tracing"
)

// Exporter takes spans and sends them. It is safe for concurrent use.
type Exporter struct {
	conf   Config
	link   link
	prefix []byte // the resource, as a field of ResourceSpans
	kick   chan struct{}

	mu      sync.Mutex
	pending []byte // guarded by mu: spans, as fields of ScopeSpans
	spans   int    // guarded by mu: in pending
	counts  Counts // guarded by mu

	failing bool // of Run alone: the last batch failed
}

var _ tracing.Sink = (*Exporter)(nil)

// Counts are what became of spans since the exporter was made.
type Counts struct {
	// Sent were taken by the collector, Rejected were not, as it said. NoRoom were dropped since too many waited, Failed since
	// the collector could not be reached or did not want them.
	Sent, Rejected, NoRoom, Failed uint64
}

// New returns an exporter. Nothing is sent before Run.
func New(c Config) (*Exporter, error) {
	u := c.Endpoint
	e := &Exporter{conf: c, prefix: resource(&c), kick: make(chan struct{}, 1)}
	switch files := (files{ca: c.CAFile, headers: c.HeadersFile}); c.Protocol {
	case HTTP:
		e.link = &httpLink{url: u.String(), secure: u.Scheme == "https", files: files}
	case GRPC:
		e.link = &grpcLink{address: address(u), host: u.Hostname(), secure: u.Scheme == "https", files: files}
	default:
		return nil, errors.New("the protocol is not known")
	}
	return e, nil
}

// Add implements tracing.Sink. Spans that there is no room for are dropped, all that are given together.
func (e *Exporter) Add(encoded []byte, spans int) {
	e.mu.Lock()
	if len(e.pending)+len(encoded) > room {
		e.counts.NoRoom += uint64(spans) //nolint:gosec // positive
		e.mu.Unlock()
		return
	}
	e.pending = append(e.pending, encoded...)
	e.spans += spans
	full := len(e.pending) >= enough
	e.mu.Unlock()
	if full {
		select {
		case e.kick <- struct{}{}:
		default:
		}
	}
}

// Counts returns what became of spans so far.
func (e *Exporter) Counts() Counts {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.counts
}

// Run sends spans until ctx is done, then what is left, within 3 seconds. It returns nil.
func (e *Exporter) Run(ctx context.Context) error {
	defer e.link.close()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-e.kick:
		case <-tick.C:
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
			defer cancel()
			e.flush(last)
			return nil
		}
		e.flush(ctx)
	}
}

// flush sends what waits. What cannot be sent before ctx is done goes back, if there is room.
func (e *Exporter) flush(ctx context.Context) {
	e.mu.Lock()
	batch, spans := e.pending, e.spans
	e.pending, e.spans = nil, 0
	e.mu.Unlock()
	if spans == 0 {
		return
	}
	rejected, err := e.send(ctx, request(e.prefix, batch))
	if err != nil && ctx.Err() != nil && ctx.Err() == context.Canceled { //nolint:errorlint // a context's own
		e.Add(batch, spans) // for the farewell
		return
	}
	e.mu.Lock()
	if err != nil {
		e.counts.Failed += uint64(spans) //nolint:gosec // positive
	} else {
		rejected = min(rejected, spans)
		e.counts.Rejected += uint64(rejected)     //nolint:gosec // not negative
		e.counts.Sent += uint64(spans - rejected) //nolint:gosec // not negative
	}
	if e.pending == nil && cap(batch) <= 2*enough {
		e.pending = batch[:0]
	}
	e.mu.Unlock()
	e.tell(err)
}

// tell logs when sending begins to fail, and when it works again.
func (e *Exporter) tell(err error) {
	switch {
	case err != nil && !e.failing:
		e.conf.Log.Info("spans cannot be sent to the collector; they are dropped until it takes them", "endpoint", e.conf.Endpoint.String(), "cause", printable.Text(err.Error(), 512))
	case err == nil && e.failing:
		e.conf.Log.Info("the collector takes spans again", "endpoint", e.conf.Endpoint.String())
	}
	e.failing = err != nil
}

// send sends one request, again and again where the collector may yet take it (OTLP specification, Failures).
func (e *Exporter) send(ctx context.Context, body []byte) (rejected int, err error) {
	start := time.Now() //nolint:forbidigo // the time that tries take, synctest has its own
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		rejected, err = e.try(ctx, body)
		var again *retryable
		if !errors.As(err, &again) {
			return rejected, err
		}
		wait := max(again.after, pause/2+rand.N(pause/2)) //nolint:gosec // spreads tries
		if time.Since(start)+wait > patience {
			return 0, err
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return 0, err
		}
	}
}

func (e *Exporter) try(ctx context.Context, body []byte) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, attempt)
	defer cancel()
	return e.link.send(ctx, body)
}

// retryable is a failure after which the same request may be sent again.
type retryable struct {
	error

	after time.Duration // what the collector asks for; 0: nothing
}

// Unwrap returns the cause.
func (r *retryable) Unwrap() error { return r.error }

// link is a way to a collector.
type link interface {
	// send sends an ExportTraceServiceRequest and returns how many spans of it were rejected. The error is *retryable where the
	// collector may take it later.
	send(ctx context.Context, body []byte) (rejected int, err error)
	close()
}

// scopeName is what made the spans.
const scopeName = "github.com/bearerguard/bearerguard"

// The fields of opentelemetry.proto messages that a request is made of.
const (
	resourceSpans, resourceOf, scopeSpans, scopeOf, nameOf, versionOf = 1, 1, 2, 1, 1, 2
	attributeOf, keyOf, valueOf, textOf                               = 1, 1, 2, 1
)

// resource is the beginning of ResourceSpans up to the name of the scope, without the lengths of what holds the spans.
func resource(c *Config) []byte {
	var r []byte
	own := []Attribute{{"service.name", c.Service}, {"service.version", c.Version}, {"host.name", c.Host}}
	for _, a := range append(own, c.Resource...) {
		if a.Value != "" {
			kv := field(field(nil, keyOf, []byte(a.Key)), valueOf, field(nil, textOf, []byte(a.Value)))
			r = field(r, attributeOf, kv)
		}
	}
	return field(nil, resourceOf, r)
}

// request makes an ExportTraceServiceRequest of spans, which are fields of ScopeSpans.
func request(resource, spans []byte) []byte {
	scope := field(nil, scopeOf, field(nil, nameOf, []byte(scopeName)))
	inner := len(scope) + len(spans)
	outer := len(resource) + protowire.SizeTag(scopeSpans) + protowire.SizeBytes(inner)
	b := make([]byte, 0, outer+16)
	b = protowire.AppendVarint(protowire.AppendTag(b, resourceSpans, protowire.BytesType), uint64(outer)) //nolint:gosec // not negative
	b = append(b, resource...)
	b = protowire.AppendVarint(protowire.AppendTag(b, scopeSpans, protowire.BytesType), uint64(inner)) //nolint:gosec // not negative
	b = append(b, scope...)
	return append(b, spans...)
}

func field(b []byte, number protowire.Number, value []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, number, protowire.BytesType), value)
}

// maxAnswer is how much of a collector's answer is read, in bytes.
const maxAnswer = 64 << 10

// rejectedSpans reads an ExportTraceServiceResponse: its partial_success (1) has rejected_spans (1). What cannot be read says nothing.
func rejectedSpans(answer []byte) int {
	partial, _ := find(answer, 1)
	_, n := find(partial, 1)
	return int(min(n, 1<<31-1)) //nolint:gosec // it fits
}

// find returns the last value of a field of a message, of bytes or a varint.
func find(message []byte, number protowire.Number) (bytes []byte, varint uint64) {
	for len(message) > 0 {
		got, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return nil, 0
		}
		message = message[n:]
		if n = protowire.ConsumeFieldValue(got, kind, message); n < 0 {
			return nil, 0
		}
		if got == number {
			switch kind {
			case protowire.BytesType:
				bytes, _ = protowire.ConsumeBytes(message)
			case protowire.VarintType:
				varint, _ = protowire.ConsumeVarint(message)
			default:
			}
		}
		message = message[n:]
	}
	return bytes, varint
}
