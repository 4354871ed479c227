// Package tracingtest reads spans by OpenTelemetry's own definitions. It is for tests alone.
package tracingtest

import (
	"encoding/hex"
	"fmt"
	"slices"
	"sync"
	"time"

	common "go.opentelemetry.io/proto/otlp/common/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/bearerguard/bearerguard/api/tracing"
)

// Span is one span, for people to compare.
type Span struct {
	Name, Trace, ID, Parent string
	Kind                    otlp.Span_SpanKind
	// Attrs are the attributes, as text.
	Attrs  map[string]string
	Events []Event
	// Dropped is how many events there are besides Events.
	Dropped int
	Failed  bool
	Took    time.Duration
}

// Event is something that happened during a span.
type Event struct {
	Name  string
	Attrs map[string]string
}

// Spans is a sink that keeps what it is given. The zero value is ready to use, and safe for concurrent use.
type Spans struct {
	mu  sync.Mutex
	all []Span
	err error
}

var _ tracing.Sink = (*Spans)(nil)

// Add implements tracing.Sink.
func (s *Spans) Add(encoded []byte, spans int) {
	var scope otlp.ScopeSpans
	err := proto.Unmarshal(encoded, &scope)
	if err == nil && len(scope.GetSpans()) != spans {
		err = fmt.Errorf("%d spans are said to be %d", len(scope.GetSpans()), spans)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.err = err
		return
	}
	for _, x := range scope.GetSpans() {
		s.all = append(s.all, Read(x))
	}
}

// All returns what has come. The error is that of something that could not be read.
func (s *Spans) All() ([]Span, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.all), s.err
}

// Named returns the spans of a name.
func (s *Spans) Named(name string) []Span {
	all, _ := s.All()
	return slices.DeleteFunc(all, func(x Span) bool { return x.Name != name })
}

// Read reads one.
func Read(x *otlp.Span) Span {
	out := Span{
		Name: x.GetName(), Trace: hex.EncodeToString(x.GetTraceId()), ID: hex.EncodeToString(x.GetSpanId()), Parent: hex.EncodeToString(x.GetParentSpanId()),
		Kind: x.GetKind(), Attrs: Attributes(x.GetAttributes()), Dropped: int(x.GetDroppedEventsCount()), Failed: x.GetStatus().GetCode() == otlp.Status_STATUS_CODE_ERROR,
		Took: time.Duration(x.GetEndTimeUnixNano() - x.GetStartTimeUnixNano()), //nolint:gosec // small
	}
	for _, e := range x.GetEvents() {
		out.Events = append(out.Events, Event{Name: e.GetName(), Attrs: Attributes(e.GetAttributes())})
	}
	return out
}

// Attributes returns attributes as text.
func Attributes(all []*common.KeyValue) map[string]string {
	out := map[string]string{}
	for _, a := range all {
		switch v := a.GetValue().GetValue().(type) {
		case *common.AnyValue_StringValue:
			out[a.GetKey()] = v.StringValue
		case *common.AnyValue_IntValue:
			out[a.GetKey()] = fmt.Sprint(v.IntValue)
		default:
			out[a.GetKey()] = fmt.Sprint(v)
		}
	}
	return out
}
