package head

import "bytes"

// Request is the head of a request. Slices point into the head that was parsed.
type Request struct {
	Method, Target []byte
	// Minor is the minor version, 1 or 0.
	Minor int
	// Host is the value of the Host field; empty if there is none, which only HTTP/1.0 can do without.
	Host []byte
	// Length is the body's length in bytes unless Chunked.
	Length int64
	// HasLength says that there is a Content-Length.
	HasLength bool
	// Chunked says that the body comes in chunks (RFC 9112 section 7.1).
	Chunked bool
	// Upgrade is the protocol that the client asks to switch to (RFC 9110 section 7.8), empty if it does not.
	Upgrade []byte
	// KeepAlive says that the client wants the connection to persist (RFC 9112 section 9.3).
	KeepAlive bool
	// Expect says that the client waits for 100 Continue before it sends the body (RFC 9110 section 10.1.1).
	Expect bool
	// Trailers says that the client takes trailers (TE: trailers, RFC 9110 section 10.1.4).
	Trailers bool
	// Options says that Connection names more than close, keep-alive and upgrade: fields to be dropped.
	Options bool
	// Fields in the order in which they came.
	Fields []Field
}

// ParseRequest reads a complete head, as End delimits it, into r. The storage of r.Fields is used again.
func ParseRequest(b []byte, l Limits, r *Request) error {
	*r = Request{Fields: r.Fields[:0]}
	if len(b) > l.Bytes {
		return ErrTooLarge
	}
	end := bytes.IndexByte(b, '\r')
	if end < 0 || end+1 >= len(b) || b[end+1] != '\n' {
		return ErrLine
	}
	if err := r.requestLine(b[:end]); err != nil {
		return err
	}
	var err error
	if r.Fields, err = fields(b[end+2:], r.Fields, l); err != nil {
		return err
	}
	return r.understand()
}

// requestLine reads method SP request-target SP HTTP-version (RFC 9112 section 3).
func (r *Request) requestLine(line []byte) error {
	method, rest, ok := bytes.Cut(line, space)
	target, version, ok2 := bytes.Cut(rest, space)
	if !ok || !ok2 || !isToken(method) || len(target) == 0 {
		return firstBad(line, ErrRequestLine)
	}
	for _, c := range target {
		if c <= ' ' || c == 0x7f {
			return firstBad(line, ErrRequestLine)
		}
	}
	switch string(version) {
	case "HTTP/1.1":
		r.Minor, r.KeepAlive = 1, true
	case "HTTP/1.0":
	default:
		return firstBad(line, ErrVersion)
	}
	r.Method, r.Target = method, target
	return nil
}

// counts is how often fields come of which there may be one.
type counts struct {
	hosts, lengths, codings, auths, upgrades int
	close, keep, upgrade                     bool // options of Connection
	framing                                  bool // is to come in trailers
}

// understand reads from the fields what framing and forwarding need.
func (r *Request) understand() error { //nolint:gocyclo // a table
	var n counts
	for i := range r.Fields {
		f := &r.Fields[i]
		switch f.Kind {
		case Host:
			n.hosts++
			r.Host = f.Value
		case ContentLength:
			n.lengths++
			var err error
			if r.Length, err = length(&f.Value); err != nil {
				return err
			}
		case TransferEncoding:
			n.codings++
			if !equal(f.Value, "chunked") {
				return ErrCoding
			}
		case Folded:
			return ErrSpelling
		case Authorization:
			n.auths++
		case Connection:
			r.Options = n.connection(f.Value) || r.Options
		case Upgrade:
			n.upgrades++
			r.Upgrade = f.Value
		case Expect:
			r.Expect = equal(f.Value, "100-continue")
		case TE:
			r.Trailers = r.Trailers || lists(f.Value, "trailers")
		case Trailer:
			n.trailer(f.Value)
		default:
		}
	}
	return r.finish(&n)
}

// connection notes the options that have a meaning here; it reports whether there are others (RFC 9110 section 7.6.1).
func (n *counts) connection(list []byte) (others bool) {
	for len(list) > 0 {
		var element []byte
		element, list, _ = bytes.Cut(list, comma)
		switch element = trim(element); {
		case equal(element, "close"):
			n.close = true
		case equal(element, "keep-alive"):
			n.keep = true
		case equal(element, "upgrade"):
			n.upgrade = true
		case len(element) > 0:
			others = true
		}
	}
	return others
}

// trailer notes trailers that a sender must not announce (RFC 9110 section 6.5.1).
func (n *counts) trailer(list []byte) {
	n.framing = n.framing || lists(list, "content-length") || lists(list, "transfer-encoding") || lists(list, "trailer")
}

// check refuses what frames a message in two ways.
func (n *counts) check(minor int) error {
	switch {
	case n.lengths > 1:
		return ErrLength
	case n.codings > 1:
		return ErrCoding
	case n.codings > 0 && (n.lengths > 0 || minor == 0): // RFC 9112 section 6.1
		return ErrFraming
	case n.codings > 0 && n.framing:
		return ErrTrailer
	}
	return nil
}

// finish checks what only all fields together show.
func (r *Request) finish(n *counts) error {
	r.HasLength, r.Chunked = n.lengths > 0, n.codings > 0
	switch {
	case n.hosts > 1, n.hosts == 0 && r.Minor == 1: // RFC 9112 section 3.2
		return ErrHost
	case n.auths > 1:
		return ErrAuthorization
	}
	if err := n.check(r.Minor); err != nil {
		return err
	}
	if !n.upgrade || n.upgrades != 1 || r.Minor == 0 {
		r.Upgrade = nil
	}
	r.Expect = r.Expect && r.Minor == 1 // RFC 9110 section 10.1.1
	r.KeepAlive = !n.close && (r.KeepAlive || n.keep)
	return r.authority(n)
}

// authority compares the authority of an absolute-form target with the host: RFC 9112 section 3.2.2 has the recipient
// ignore the host, and not all do.
func (r *Request) authority(n *counts) error {
	t := r.Target
	if t[0] == '/' || n.hosts == 0 {
		return nil
	}
	i := bytes.Index(t, []byte("://"))
	if i < 0 {
		return nil
	}
	t = t[i+3:]
	if end := bytes.IndexAny(t, "/?#"); end >= 0 {
		t = t[:end]
	}
	if !bytes.EqualFold(t, r.Host) {
		return ErrHostMismatch
	}
	return nil
}
