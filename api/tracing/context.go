package tracing

import "encoding/hex"

// TraceID tells a trace from all others. The zero TraceID is none.
type TraceID [16]byte

// String returns 32 hexadecimal digits; empty for none.
func (t TraceID) String() string {
	if t == (TraceID{}) {
		return ""
	}
	return hex.EncodeToString(t[:])
}

// SpanID tells a span from others of its trace. The zero SpanID is none.
type SpanID [8]byte

// Trace flags (W3C Trace Context level 2 section 3.2.2.5).
const (
	// Sampled says that the caller may have recorded the trace.
	Sampled = 1
	// Random says that the last 7 bytes of the trace's id are random.
	Random = 2
)

// Context is what a traceparent says.
type Context struct {
	Trace TraceID
	Span  SpanID
	Flags byte
}

// Header fields of a context, in canonical MIME form.
const (
	Traceparent = "Traceparent"
	Tracestate  = "Tracestate"
)

// size is the length of a traceparent of version 00, in bytes.
const size = 55

// Parse reads the value of a traceparent field (W3C Trace Context level 2 section 3.2). It returns false for what is none:
// then there is no context, which is no error of the request's.
func Parse(text string) (c Context, ok bool) {
	var version, flags [1]byte
	switch {
	case len(text) < size || text[2] != '-' || text[35] != '-' || text[52] != '-',
		!unhex(version[:], text[:2]) || version[0] == 0xff,
		len(text) > size && (version[0] == 0 || text[size] != '-'), // later versions may say more
		!unhex(c.Trace[:], text[3:35]) || c.Trace == TraceID{},
		!unhex(c.Span[:], text[36:52]) || c.Span == SpanID{},
		!unhex(flags[:], text[53:55]):
		return Context{}, false
	}
	c.Flags = flags[0] & (Sampled | Random)
	return c, true
}

// unhex fills out from lower-case hexadecimal digits, two a byte.
func unhex(out []byte, text string) bool {
	for i := range out {
		high, low := digit(text[2*i]), digit(text[2*i+1])
		if high > 15 || low > 15 {
			return false
		}
		out[i] = high<<4 | low
	}
	return true
}

func digit(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	}
	return 0xff
}

// AppendTraceparent writes the context as the value of a traceparent field, version 00.
func (c Context) AppendTraceparent(b []byte) []byte {
	b = append(b, "00-"...)
	b = hex.AppendEncode(b, c.Trace[:])
	b = append(b, '-')
	b = hex.AppendEncode(b, c.Span[:])
	b = append(b, '-')
	return hex.AppendEncode(b, []byte{c.Flags})
}
