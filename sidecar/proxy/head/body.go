package head

import "math"

// maxTrailers bounds a trailer section, in bytes.
const maxTrailers = 16 << 10

// Body follows a body to its end, and to that of the trailer section behind it (RFC 9112 section 6).
type Body struct {
	// Left is how many bytes are to come, as many as there may be where nobody knows; 0: the body has ended.
	Left int64
	// Chunked says that it comes in chunks.
	Chunked bool
	// ToClose says that the connection's end is the body's.
	ToClose bool
	// Trailers came behind it. Their storage is used again.
	Trailers []Field

	chunks Chunks
}

// Begin is for the body of a message that has one.
func (y *Body) Begin(m *Message) {
	*y = Body{Left: m.Length, Chunked: m.Chunked, ToClose: !m.Chunked && m.Length < 0, Trailers: y.Trailers[:0]}
	if y.Chunked || y.ToClose {
		y.Left = math.MaxInt64
	}
}

// Take takes what b begins with: data, kept bytes of which are moved to the start of b, or the trailer section, if all of it is there. Used is
// how many bytes were taken, and 0 if b is none or more of the trailer section is needed. The fields of that are bounded by l.
func (y *Body) Take(b []byte, l Limits) (kept, used int, err error) {
	switch {
	case !y.Chunked:
		n := int(min(y.Left, int64(len(b))))
		y.Left -= int64(n)
		return n, n, nil
	case !y.chunks.Ended():
		return y.chunks.Take(b)
	}
	n := trailerEnd(b)
	if n == 0 && len(b) <= maxTrailers {
		return 0, 0, nil
	}
	if n == 0 || n > maxTrailers {
		return 0, 0, ErrTooLarge
	}
	y.Left = 0
	y.Trailers, err = fields(b[:n], y.Trailers[:0], l)
	return 0, n, err
}

// trailerEnd returns the length of the trailer section at the start of b, its final CRLF included, or 0 if it is not
// complete yet.
func trailerEnd(b []byte) int {
	if len(b) >= 2 && b[0] == '\r' && b[1] == '\n' {
		return 2
	}
	return End(b, 0)
}
