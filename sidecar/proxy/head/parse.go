package head

import (
	"bytes"
)

// Error says why a request is refused. The texts are constants; none holds anything of the request.
type Error string

// Error returns the text.
func (e Error) Error() string { return string(e) }

// The reasons to refuse a head or a body's framing.
const (
	ErrLine          Error = "line does not end in CRLF"
	ErrRequestLine   Error = "request line is malformed"
	ErrVersion       Error = "version is not HTTP/1.1 or HTTP/1.0"
	ErrField         Error = "header field is malformed"
	ErrFold          Error = "header field is folded"
	ErrHost          Error = "host is missing or comes more than once"
	ErrHostMismatch  Error = "host differs from the target's authority"
	ErrLength        Error = "length is malformed or comes more than once"
	ErrCoding        Error = "transfer coding is not chunked alone"
	ErrFraming       Error = "body is framed in two ways"
	ErrAuthorization Error = "authorization comes more than once"
	ErrChunk         Error = "chunk is malformed"
	ErrTooLarge      Error = "head exceeds a limit"
)

// Limits bound a head.
type Limits struct {
	// Bytes bounds the whole head, request line and final CRLF included.
	Bytes int
	// Fields bounds the number of header fields.
	Fields int
}

// Request is what framing needs to know of a request. Slices point into the head that was parsed.
type Request struct {
	Method, Target []byte
	// Minor is the minor version, 1 or 0.
	Minor int
	// Length is the body's length in bytes unless Chunked.
	Length int64
	// Chunked says that the body comes in chunks (RFC 9112 section 7.1).
	Chunked bool
	// Upgrade says that the client asks to switch protocols (RFC 9110 section 7.8).
	Upgrade bool
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

// Parse reads a complete head as End delimits it.
func Parse(b []byte, l Limits) (Request, error) {
	var r Request
	if err := Check(b, 0, l); err != nil {
		return r, err
	}
	line, rest, _ := bytes.Cut(b, crlf)
	if err := r.requestLine(line); err != nil {
		return r, err
	}
	p := fields{request: &r}
	for n := 0; ; n++ {
		line, rest, _ = bytes.Cut(rest, crlf)
		if len(line) == 0 {
			break
		}
		if n == l.Fields {
			return r, ErrTooLarge
		}
		if err := p.field(line); err != nil {
			return r, err
		}
	}
	return r, p.finish()
}

// requestLine reads method SP request-target SP HTTP-version (RFC 9112 section 3).
func (r *Request) requestLine(line []byte) error {
	method, rest, ok := bytes.Cut(line, space)
	target, version, ok2 := bytes.Cut(rest, space)
	if !ok || !ok2 || !isToken(method) || len(target) == 0 {
		return ErrRequestLine
	}
	for _, c := range target {
		if c <= ' ' || c == 0x7f {
			return ErrRequestLine
		}
	}
	switch string(version) {
	case "HTTP/1.1":
		r.Minor = 1
	case "HTTP/1.0":
	default:
		return ErrVersion
	}
	r.Method, r.Target = method, target
	return nil
}

// fields gathers what the header says of framing.
type fields struct {
	request        *Request
	host           []byte
	hosts, lengths int
	codings, auths int
	connUpgrade    bool
	upgrade        bool
}

// field reads field-name ":" OWS field-value OWS (RFC 9112 section 5).
func (f *fields) field(line []byte) error {
	if line[0] == ' ' || line[0] == '\t' {
		return ErrFold // obs-fold, RFC 9112 section 5.2
	}
	name, value, ok := bytes.Cut(line, colon)
	if !ok || !isToken(name) {
		return ErrField
	}
	value = bytes.Trim(value, " \t")
	switch {
	case equal(name, "host"):
		f.hosts++
		f.host = value
	case equal(name, "content-length"):
		f.lengths++
		return f.length(value)
	case equal(name, "transfer-encoding"):
		f.codings++
		if !equal(value, "chunked") {
			return ErrCoding
		}
		f.request.Chunked = true
	case equal(name, "authorization"):
		f.auths++
	case equal(name, "connection"):
		f.connUpgrade = f.connUpgrade || lists(value, "upgrade")
	case equal(name, "upgrade"):
		f.upgrade = true
	}
	return nil
}

// length reads 1*DIGIT (RFC 9112 section 6.2); a list of equal numbers is refused too.
func (f *fields) length(value []byte) error {
	if len(value) == 0 || len(value) > 18 {
		return ErrLength
	}
	var n int64
	for _, c := range value {
		if c < '0' || c > '9' {
			return ErrLength
		}
		n = n*10 + int64(c-'0')
	}
	f.request.Length = n
	return nil
}

// finish checks what only all fields together show.
func (f *fields) finish() error {
	r := f.request
	switch {
	case f.hosts > 1, f.hosts == 0 && r.Minor == 1: // RFC 9112 section 3.2
		return ErrHost
	case f.auths > 1:
		return ErrAuthorization
	case f.lengths > 1:
		return ErrLength
	case f.codings > 1:
		return ErrCoding
	case f.codings > 0 && (f.lengths > 0 || r.Minor == 0): // RFC 9112 section 6.1
		return ErrFraming
	}
	r.Upgrade = f.connUpgrade && f.upgrade && r.Minor == 1
	return f.authority()
}

// authority compares the authority of an absolute-form target with the host: RFC 9112 section 3.2.2 has the recipient
// ignore the host, and not all do.
func (f *fields) authority() error {
	t := f.request.Target
	i := bytes.Index(t, []byte("://"))
	if t[0] == '/' || i < 0 || f.hosts == 0 {
		return nil
	}
	t = t[i+3:]
	if end := bytes.IndexAny(t, "/?#"); end >= 0 {
		t = t[:end]
	}
	if !bytes.EqualFold(t, f.host) {
		return ErrHostMismatch
	}
	return nil
}
