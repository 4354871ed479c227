package head

import "bytes"

// Response is the head of an answer. Slices point into the head that was parsed.
type Response struct {
	// Status is the status code, 100 to 999.
	Status int
	// StatusText is what follows the version and a space: the code and the reason phrase, as they came.
	StatusText []byte
	// Length is the body's length in bytes, -1 if there is no Content-Length.
	Length int64
	// Chunked says that the body comes in chunks.
	Chunked bool
	// KeepAlive says that the connection persists after the body. It does not where a body is announced that cannot be.
	KeepAlive bool
	// Upgrade is the protocol switched to by a 101 answer; empty without one.
	Upgrade []byte
	// Options says that Connection names fields to be dropped.
	Options bool
	// Fields in the order in which they came.
	Fields []Field
}

// ParseResponse reads a complete head, as End delimits it, into r. The storage of r.Fields is used again.
func ParseResponse(b []byte, l Limits, r *Response) error {
	*r = Response{Length: -1, Fields: r.Fields[:0]}
	if len(b) > l.Bytes {
		return ErrTooLarge
	}
	end := bytes.IndexByte(b, '\r')
	if end < 0 || end+1 >= len(b) || b[end+1] != '\n' {
		return ErrLine
	}
	minor, err := r.statusLine(b[:end])
	if err != nil {
		return err
	}
	if r.Fields, err = fields(b[end+2:], r.Fields, l); err != nil {
		return err
	}
	return r.understand(minor)
}

// statusLine reads HTTP-version SP status-code [SP reason-phrase] (RFC 9112 section 4); some servers leave the second
// space out with the phrase.
func (r *Response) statusLine(line []byte) (minor int, err error) {
	const version = "HTTP/1.x "
	if len(line) < len(version)+3 || string(line[:7]) != "HTTP/1." || line[8] != ' ' {
		return 0, ErrStatusLine
	}
	if minor = int(line[7] - '0'); minor != 0 && minor != 1 {
		return 0, ErrVersion
	}
	r.StatusText = line[len(version):]
	for _, c := range r.StatusText[:3] {
		if c < '0' || c > '9' {
			return 0, ErrStatusLine
		}
		r.Status = r.Status*10 + int(c-'0')
	}
	if rest := r.StatusText[3:]; r.Status < 100 || len(rest) > 0 && rest[0] != ' ' || control(rest) != "" {
		return 0, ErrStatusLine
	}
	return minor, nil
}

// understand reads from the fields what framing and forwarding need.
func (r *Response) understand(minor int) error {
	var n counts
	for i := range r.Fields {
		f := &r.Fields[i]
		switch f.Kind {
		case ContentLength:
			n.lengths++
			var err error
			if r.Length, err = length(&f.Value); err != nil {
				return err
			}
		case TransferEncoding:
			n.codings++
			if !equal(f.Value, "chunked") && !r.bodiless() {
				return ErrCoding
			}
		case Connection:
			r.Options = n.connection(f.Value) || r.Options
		case Upgrade:
			n.upgrades++
			r.Upgrade = f.Value
		case Trailer:
			n.trailer(f.Value)
		default:
		}
	}
	r.Chunked = n.codings > 0
	if !n.upgrade || n.upgrades != 1 {
		r.Upgrade = nil
	}
	r.KeepAlive = !n.close && (minor == 1 || n.keep)
	return r.finish(&n, minor)
}

// finish checks what only all fields together show.
func (r *Response) finish(n *counts, minor int) error {
	if r.Status == 101 && n.codings > 0 {
		return ErrFraming
	}
	if !r.bodiless() {
		return n.check(minor)
	}
	switch {
	case n.lengths > 1:
		return ErrLength
	case n.codings > 0, r.Length > 0 && r.Status != 304:
		r.KeepAlive = false
	}
	r.Chunked = false
	return nil
}

// bodiless holds for answers that have no body, whatever their fields say (RFC 9112 section 6.3). An app must not announce
// one (section 6.1), but some do. One that switches protocols must not be in doubt.
func (r *Response) bodiless() bool {
	return r.Status < 200 && r.Status != 101 || r.Status == 204 || r.Status == 304
}
