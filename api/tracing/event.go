package tracing

import (
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// Events are what happened during a span, encoded. The zero value has none.
type Events struct {
	b       []byte
	dropped uint64
}

// Add adds an event. fill adds its attributes; nil: it has none.
func (e *Events) Add(name string, at time.Time, fill func(*Attrs)) {
	name = fit(name)
	a := Attrs{event: true}
	if fill != nil {
		fill(&a)
	}
	size := protowire.SizeTag(eventTime) + protowire.SizeFixed64() + sizeOfText(eventName, len(name)) + len(a.b)
	e.b = protowire.AppendVarint(protowire.AppendTag(e.b, spanEvent, protowire.BytesType), uint64(size)) //nolint:gosec // small
	e.b = appendTime(e.b, eventTime, at)
	e.b = protowire.AppendString(protowire.AppendTag(e.b, eventName, protowire.BytesType), name)
	e.b = append(e.b, a.b...)
}

// Drop notes an event that is not told of.
func (e *Events) Drop() { e.dropped++ }

func (e *Events) size() int {
	if e.dropped == 0 {
		return len(e.b)
	}
	return len(e.b) + protowire.SizeTag(spanEventsDropped) + protowire.SizeVarint(e.dropped)
}

func (e *Events) appendTo(b []byte) []byte {
	b = append(b, e.b...)
	if e.dropped == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, spanEventsDropped, protowire.VarintType), e.dropped)
}
