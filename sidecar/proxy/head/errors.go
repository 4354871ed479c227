package head

import "bytes"

// Error says why a message is refused. The texts are constants; none holds anything of the message.
type Error string

// Error returns the text.
func (e Error) Error() string { return string(e) }

// The reasons to refuse a head or a body's framing.
const (
	ErrLine          Error = "line does not end in CRLF"
	ErrRequestLine   Error = "request line is malformed"
	ErrStatusLine    Error = "status line is malformed"
	ErrVersion       Error = "version is not HTTP/1.1 or HTTP/1.0"
	ErrField         Error = "header field is malformed"
	ErrFold          Error = "header field is folded"
	ErrHost          Error = "host is missing or comes more than once"
	ErrHostMismatch  Error = "host differs from the target's authority"
	ErrLength        Error = "length is malformed or comes more than once"
	ErrCoding        Error = "transfer coding is not chunked alone"
	ErrFraming       Error = "body is framed in two ways"
	ErrSpelling      Error = "a field that frames the message is spelled with other characters than hyphens"
	ErrTrailer       Error = "trailers are announced that would frame the message"
	ErrAuthorization Error = "authorization comes more than once"
	ErrChunk         Error = "chunk is malformed"
	ErrTooLarge      Error = "head exceeds a limit"
	ErrTarget        Error = "request target exceeds a limit"
	ErrCrowded       Error = "heads that have not come as a whole take as much memory as they may"
)

// Limits bound a head.
type Limits struct {
	// Bytes bounds the whole head, start line and final CRLF included.
	Bytes int
	// Fields bounds the number of header fields.
	Fields int
}

// End returns the length of the head at the start of b, final CRLF included, or 0 if it is not complete yet. It looks
// from byte from on, so that a caller that reads more needs not start over; from must not lie behind an end.
func End(b []byte, from int) int {
	from = max(0, from-3)
	if i := bytes.Index(b[from:], []byte("\r\n\r\n")); i >= 0 {
		return from + i + 4
	}
	return 0
}

// Check refuses a head that is not complete yet but can no longer be a good one, so that nobody waits for the rest of
// it: a bare LF or CR, a control byte, too many bytes. It looks from byte from on.
func Check(b []byte, from int, l Limits) error {
	if len(b) > l.Bytes {
		return ErrTooLarge
	}
	for i := max(0, from-1); i < len(b); i++ {
		switch c := b[i]; {
		case c == '\n' && (i == 0 || b[i-1] != '\r'):
			return ErrLine
		case c == '\r' && i+1 < len(b) && b[i+1] != '\n':
			return ErrLine
		case c < ' ' && c != '\t' && c != '\r' && c != '\n', c == 0x7f:
			return ErrField
		}
	}
	return nil
}
