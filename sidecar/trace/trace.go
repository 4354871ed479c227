package trace

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/tracing"
	"github.com/bearerguard/bearerguard/sidecar/gate"
)

// Request is the trace of one request that is sampled. A nil Request is one that is not. It is for one goroutine.
type Request struct {
	// Gate is told by the gate how it judges.
	Gate gate.Trace

	span   *tracing.Span
	method string
	judged time.Time // zero: it has not been
	sent   time.Time // to the app; zero: it has not been
	app    tracing.SpanID
	state  string // the tracestate that the client sent
}

// Header is a request's header. Values of a name in canonical MIME form are valid until they are asked for again.
type Header interface{ Values(name string) []string }

// Begin begins the trace of a request; nil: it is not sampled, which costs no memory. Nothing of the request is kept.
func Begin(t *tracing.Tracer, method string, h Header, now time.Time) *Request {
	span := t.Start(h.Values(tracing.Traceparent), tracing.Server, now)
	if span == nil {
		return nil
	}
	r := &Request{span: span, method: methodName(method)}
	if span.Remote() {
		r.state = strings.Clone(tracing.ReadState(h.Values(tracing.Tracestate)))
	}
	return r
}

// BeginUnread begins the trace of a request whose header cannot be read.
func BeginUnread(t *tracing.Tracer, now time.Time) *Request { return Begin(t, "", noHeader{}, now) }

// noHeader has no fields.
type noHeader struct{}

// Values returns nothing.
func (noHeader) Values(string) []string { return nil }

// Context reports whether a header field is one of those that Send gives others for. The name may be in any case.
func Context(name string) bool {
	return len(name) == len(tracing.Traceparent) && strings.EqualFold(name, tracing.Traceparent) ||
		len(name) == len(tracing.Tracestate) && strings.EqualFold(name, tracing.Tracestate)
}

// ID returns the trace's id; zero for a nil Request.
func (r *Request) ID() tracing.TraceID {
	if r == nil {
		return tracing.TraceID{}
	}
	return r.span.Trace()
}

// Judged notes that the verdict has been reached.
func (r *Request) Judged(now time.Time) { r.judged = now }

// Send notes that the request goes to the app now, and returns the values of traceparent and tracestate that it goes with; the latter
// is empty where there is none.
func (r *Request) Send(now time.Time) (parent, state string) {
	r.sent, r.app = now, tracing.NewSpanID()
	return string(r.span.Context(r.app).AppendTraceparent(make([]byte, 0, 64))), r.state
}

// End is what became of a request.
type End struct {
	// Protocol is such as HTTP/1.1, or how a gateway asked.
	Protocol string
	// Port is the one that the client dialled; 0: not known. Secure says that it speaks TLS.
	Port   int
	Secure bool
	// Status is what the client was answered with; 0: nothing.
	Status int
	// Allowed says that the request went to the app, whatever the app said.
	Allowed bool
	// Reason is why; empty: the client went before anything was decided.
	Reason decision.Reason
	// Policy and Rule are those that decided.
	Policy, Rule string
	RequestID    string
}

// End ends the trace, and hands it over. Nothing of it may be used afterwards.
func (r *Request) End(now time.Time, e *End) {
	if r == nil {
		return
	}
	method, failed := r.method, e.Status >= http.StatusInternalServerError || e.Status == 0
	r.judging(now)
	if !r.sent.IsZero() {
		c := tracing.Child{ID: r.app, Name: method, Kind: tracing.Client, Start: r.sent, End: now, Failed: failed}
		c.Attrs.Text("http.request.method", method)
		if e.Status != 0 {
			c.Attrs.Int("http.response.status_code", e.Status)
		}
		r.span.Child(&c)
	}
	a := r.span.Attrs()
	a.Text("http.request.method", method)
	a.Text("http.route", r.Gate.Route)
	if e.Status != 0 {
		a.Int("http.response.status_code", e.Status)
	}
	a.Text("url.scheme", map[bool]string{false: "http", true: "https"}[e.Secure])
	if e.Port != 0 {
		a.Int("server.port", e.Port)
	}
	protocol(a, e.Protocol)
	switch {
	case e.Status == 0:
		a.Text("error.type", "no_answer")
	case failed && e.Allowed:
		a.Text("error.type", strconv.Itoa(e.Status))
	case failed:
		a.Text("error.type", string(e.Reason))
	}
	if e.Reason != "" {
		a.Text("bearerguard.decision", map[bool]string{false: "deny", true: "allow"}[e.Allowed])
	}
	a.Text("bearerguard.reason", string(e.Reason))
	a.Text("bearerguard.policy", e.Policy)
	a.Text("bearerguard.rule", e.Rule)
	a.Text("bearerguard.issuer", r.Gate.IssuerEntry)
	a.Text("bearerguard.request_id", e.RequestID)
	name := method
	if r.Gate.Route != "" {
		name += " " + r.Gate.Route
	}
	r.span.End(name, now, failed)
}

// judging adds the spans of how the request was judged.
func (r *Request) judging(now time.Time) {
	judged := r.judged
	if judged.IsZero() {
		judged = now
	}
	verify := tracing.Child{ID: tracing.NewSpanID(), Name: "judge", Kind: tracing.Internal, Start: r.span.Begun(), End: judged}
	r.span.Child(&verify)
	for _, w := range []struct {
		name string
		gate.Interval
	}{{"ask issuer", r.Gate.Asked}, {"wait for keys", r.Gate.Keys}} {
		if !w.From.IsZero() {
			r.span.Below(verify.ID, &tracing.Child{Name: w.name, Kind: tracing.Internal, Start: w.From, End: w.To})
		}
	}
}

// protocol says which version of HTTP a client speaks, or by what a gateway asks.
func protocol(a *tracing.Attrs, name string) {
	switch name {
	case "HTTP/1.0":
		a.Text("network.protocol.version", "1.0")
	case "HTTP/1.1":
		a.Text("network.protocol.version", "1.1")
	case "HTTP/2.0":
		a.Text("network.protocol.version", "2")
	default:
		a.Text("bearerguard.asked_by", name)
		return
	}
	a.Text("network.protocol.name", "http")
}

// methodName is a method of RFC 9110 or 5789; all others are one to a trace, as OpenTelemetry's conventions have it.
func methodName(method string) string {
	switch method {
	case http.MethodGet:
		return http.MethodGet
	case http.MethodHead:
		return http.MethodHead
	case http.MethodPost:
		return http.MethodPost
	case http.MethodPut:
		return http.MethodPut
	case http.MethodDelete:
		return http.MethodDelete
	case http.MethodConnect:
		return http.MethodConnect
	case http.MethodOptions:
		return http.MethodOptions
	case http.MethodTrace:
		return http.MethodTrace
	case http.MethodPatch:
		return http.MethodPatch
	}
	return "_OTHER"
}
