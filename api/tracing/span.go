package tracing

import (
	"encoding/binary"
	"math/rand/v2"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// Kind is what a span is to its neighbours (opentelemetry.proto.trace.v1.Span.SpanKind).
type Kind uint64

// The kinds.
const (
	Internal Kind = 1
	Server   Kind = 2
	Client   Kind = 3
)

// Span is something that takes time, in a trace that is sampled. A nil Span is one that is not: its methods do nothing. It is for one
// goroutine, and must not be used after End.
type Span struct {
	tracer *Tracer
	own    Context
	parent SpanID
	remote bool // the parent is somebody else's
	kind   Kind
	start  time.Time
	attrs  Attrs
	events Events
	ended  []byte // child spans, encoded
	spans  int    // how many
}

var pool = sync.Pool{New: func() any { return new(Span) }}

// Attrs are attributes, encoded. The zero value has none.
type Attrs struct {
	b     []byte
	event bool // they are of an event, not of a span
}

// The fields of the messages of opentelemetry.proto.trace.v1 and common.v1 that are used.
const (
	scopeSpans = 2 // of ScopeSpans: spans

	spanTrace, spanID, spanParent, spanName, spanKind, spanStart, spanEnd, spanAttr, spanStatus, spanFlags = 1, 2, 4, 5, 6, 7, 8, 9, 15, 16
	spanEvent, spanEventsDropped                                                                           = 11, 12
	eventTime, eventName, eventAttr                                                                        = 1, 2, 3

	statusCode, statusError = 3, 2
	attrKey, attrValue      = 1, 2
	valueString, valueInt   = 1, 3

	flagHasRemote, flagRemote = 0x100, 0x200
)

// longest is how much of a text is kept, in bytes.
const longest = 1024

// fit makes a text valid for protobuf, and bounds it.
func fit(text string) string {
	if len(text) > longest {
		text = text[:longest]
	}
	if !utf8.ValidString(text) {
		text = strings.ToValidUTF8(text, "\uFFFD")
	}
	return text
}

// Text adds a text. An empty one is left out.
func (a *Attrs) Text(key, value string) {
	if value == "" {
		return
	}
	value = fit(value)
	a.add(key, sizeOfText(valueString, len(value)))
	a.b = protowire.AppendString(protowire.AppendTag(a.b, valueString, protowire.BytesType), value)
}

// Int adds a number.
func (a *Attrs) Int(key string, value int) {
	n := uint64(value) //nolint:gosec // as protobuf has negative ones
	a.add(key, protowire.SizeTag(valueInt)+protowire.SizeVarint(n))
	a.b = protowire.AppendVarint(protowire.AppendTag(a.b, valueInt, protowire.VarintType), n)
}

// add begins an attribute whose value, an AnyValue, has so many bytes, which are to follow.
func (a *Attrs) add(key string, bytes int) {
	field := protowire.Number(spanAttr)
	if a.event {
		field = eventAttr
	}
	a.b = protowire.AppendTag(a.b, field, protowire.BytesType)
	a.b = protowire.AppendVarint(a.b, uint64(sizeOfText(attrKey, len(key))+sizeOfText(attrValue, bytes))) //nolint:gosec // small
	a.b = protowire.AppendString(protowire.AppendTag(a.b, attrKey, protowire.BytesType), key)
	a.b = protowire.AppendTag(a.b, attrValue, protowire.BytesType)
	a.b = protowire.AppendVarint(a.b, uint64(bytes)) //nolint:gosec // small
}

// sizeOfText is how many bytes a field of so many bytes takes.
func sizeOfText(field protowire.Number, bytes int) int {
	return protowire.SizeTag(field) + protowire.SizeBytes(bytes)
}

// Child is a span that has ended, of which another one is the parent.
type Child struct {
	// ID is the span's; the zero ID: one is made.
	ID         SpanID
	Name       string
	Kind       Kind
	Start, End time.Time
	Attrs      Attrs
	Events     Events
	// Failed says that what the span is of did not succeed.
	Failed bool
}

// Trace returns the trace's id; zero for a nil Span.
func (s *Span) Trace() TraceID {
	if s == nil {
		return TraceID{}
	}
	return s.own.Trace
}

// Attrs returns the attributes, to be added to; the span must not be nil.
func (s *Span) Attrs() *Attrs { return &s.attrs }

// Events returns the events, to be added to; the span must not be nil.
func (s *Span) Events() *Events { return &s.events }

// Begun returns when the span began.
func (s *Span) Begun() time.Time { return s.start }

// Remote reports whether the span has a parent, which is somebody else's.
func (s *Span) Remote() bool { return s.remote }

// Child adds a child span.
func (s *Span) Child(c *Child) {
	if s != nil {
		s.Below(s.own.Span, c)
	}
}

// Below adds a span whose parent is a child of this one, or this one.
func (s *Span) Below(parent SpanID, c *Child) {
	if c.ID == (SpanID{}) {
		c.ID = NewSpanID()
	}
	s.encode(c, parent, false)
}

// Context returns the context of a child span, to be passed on.
func (s *Span) Context(child SpanID) Context { return Context{s.own.Trace, child, s.own.Flags} }

// Fork begins a span of its own in the same trace, whose parent is this one and which may outlast it; nil for a nil Span.
func (s *Span) Fork(kind Kind, now time.Time) *Span {
	if s == nil {
		return nil
	}
	f := pool.Get().(*Span)
	f.tracer, f.kind, f.start = s.tracer, kind, now
	f.parent, f.remote = s.own.Span, false
	f.own = Context{s.own.Trace, NewSpanID(), s.own.Flags}
	return f
}

// End ends the span and hands it and its children over. Nothing but the name and the attributes is kept of what is given.
func (s *Span) End(name string, at time.Time, failed bool) {
	if s == nil {
		return
	}
	s.encode(&Child{ID: s.own.Span, Name: name, Kind: s.kind, Start: s.start, End: at, Attrs: s.attrs, Events: s.events, Failed: failed}, s.parent, s.remote)
	s.tracer.sink.Add(s.ended, s.spans)
	if cap(s.ended) > 16<<10 {
		return // few have as many children
	}
	*s = Span{ended: s.ended[:0], attrs: Attrs{b: s.attrs.b[:0]}}
	pool.Put(s)
}

// encode appends a span, as a field of ScopeSpans.
func (s *Span) encode(c *Child, parent SpanID, remote bool) {
	name := fit(c.Name)
	size := sizeOfText(spanTrace, len(s.own.Trace)) + sizeOfText(spanID, len(c.ID)) + sizeOfText(spanName, len(name)) +
		protowire.SizeTag(spanKind) + protowire.SizeVarint(uint64(c.Kind)) +
		2*(protowire.SizeTag(spanStart)+protowire.SizeFixed64()) + len(c.Attrs.b) + c.Events.size() + protowire.SizeTag(spanFlags) + protowire.SizeFixed32()
	if parent != (SpanID{}) {
		size += sizeOfText(spanParent, len(parent))
	}
	const status = 2 // bytes of a Status with a code
	if c.Failed {
		size += sizeOfText(spanStatus, status)
	}
	b := protowire.AppendVarint(protowire.AppendTag(s.ended, scopeSpans, protowire.BytesType), uint64(size)) //nolint:gosec // small
	b = protowire.AppendBytes(protowire.AppendTag(b, spanTrace, protowire.BytesType), s.own.Trace[:])
	b = protowire.AppendBytes(protowire.AppendTag(b, spanID, protowire.BytesType), c.ID[:])
	if parent != (SpanID{}) {
		b = protowire.AppendBytes(protowire.AppendTag(b, spanParent, protowire.BytesType), parent[:])
	}
	b = protowire.AppendString(protowire.AppendTag(b, spanName, protowire.BytesType), name)
	b = protowire.AppendVarint(protowire.AppendTag(b, spanKind, protowire.VarintType), uint64(c.Kind))
	b = appendTime(b, spanStart, c.Start)
	b = appendTime(b, spanEnd, c.End)
	b = append(b, c.Attrs.b...)
	b = c.Events.appendTo(b)
	if c.Failed {
		b = protowire.AppendVarint(protowire.AppendTag(b, spanStatus, protowire.BytesType), status)
		b = protowire.AppendVarint(protowire.AppendTag(b, statusCode, protowire.VarintType), statusError)
	}
	flags := uint32(s.own.Flags)
	if parent != (SpanID{}) {
		flags |= flagHasRemote
		if remote {
			flags |= flagRemote
		}
	}
	s.ended = protowire.AppendFixed32(protowire.AppendTag(b, spanFlags, protowire.Fixed32Type), flags)
	s.spans++
}

func appendTime(b []byte, field protowire.Number, at time.Time) []byte {
	return protowire.AppendFixed64(protowire.AppendTag(b, field, protowire.Fixed64Type), uint64(at.UnixNano())) //nolint:gosec // after 1970
}

// NewSpanID makes an id.
func NewSpanID() (id SpanID) {
	for id == (SpanID{}) {
		binary.BigEndian.PutUint64(id[:], rand.Uint64()) //nolint:gosec // an id to find a span by is no secret
	}
	return id
}
