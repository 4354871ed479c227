package head

import "bytes"

// Request is the head of a request. Slices point into the head that was parsed.
type Request struct {
	Method, Target []byte
	// Minor is the minor version, 1 or 0.
	Minor int
	// Host is the value of the Host field; empty if there is none, which only HTTP/1.0 can do without.
	Host []byte
	// Expect says that the client waits for 100 Continue before it sends the body (RFC 9110 section 10.1.1).
	Expect bool
	// Trailers says that the client takes trailers (TE: trailers, RFC 9110 section 10.1.4).
	Trailers bool
	// Message has the protocol that the client asks to switch to, and whether it wants the connection to persist.
	Message

	framing bool // trailers are announced that frame a message
}

// ParseRequest reads a complete head, as End delimits it, into r. The storage of r.Fields is used again.
func ParseRequest(b []byte, l Limits, r *Request) error {
	*r = Request{Message: Message{Fields: r.Fields[:0]}}
	line, rest, err := startLine(b, l)
	if err != nil {
		return err
	}
	if err := r.requestLine(line); err != nil {
		return err
	}
	if r.Fields, err = fields(rest, r.Fields, l); err != nil {
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
		r.Minor = 1
	case "HTTP/1.0":
	default:
		return firstBad(line, ErrVersion)
	}
	r.Method, r.Target = method, target
	return nil
}

// understand reads from the fields what framing and forwarding need.
func (r *Request) understand() error {
	var n counts
	err := r.Message.understand(&n, r.Minor)
	r.Host, r.Expect, r.Trailers, r.Length = n.host, n.expect, n.trailers, max(r.Length, 0)
	r.framing = n.framing
	switch {
	case err != nil:
		return err
	case n.of[Folded] > 0: // a field that frames the message has another spelling
		return ErrSpelling
	case n.of[Host] > 1, n.of[Host] == 0 && r.Minor == 1: // RFC 9112 section 3.2
		return ErrHost
	case n.of[Authorization] > 1:
		return ErrAuthorization
	}
	if err := n.check(r.Minor); err != nil {
		return err
	}
	if r.Minor == 0 { // what is expected is ignored (RFC 9110 section 10.1.1)
		r.Upgrade, r.Expect = nil, false
	}
	return r.authority(&n)
}

// authority compares the authority of an absolute-form target with the host: RFC 9112 section 3.2.2 has the recipient
// ignore the host, and not all do.
func (r *Request) authority(n *counts) error {
	t := r.Target
	if t[0] == '/' || n.of[Host] == 0 {
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
