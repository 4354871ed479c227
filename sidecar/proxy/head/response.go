package head

// Response is the head of an answer. Slices point into the head that was parsed.
type Response struct {
	// Status is the status code, 100 to 999.
	Status int
	// StatusText is what follows the version and a space: the code and the reason phrase, as they came.
	StatusText []byte
	// Message has the protocol switched to by a 101 answer, and whether the connection persists after the body. It does not
	// where a body is announced that cannot be.
	Message
}

// ParseResponse reads a complete head, as End delimits it, into r. The storage of r.Fields is used again.
func ParseResponse(b []byte, l Limits, r *Response) error {
	*r = Response{Message: Message{Fields: r.Fields[:0]}}
	line, rest, err := startLine(b, l)
	if err != nil {
		return err
	}
	minor, err := r.statusLine(line)
	if err != nil {
		return err
	}
	if r.Fields, err = fields(rest, r.Fields, l); err != nil {
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
	err := r.Message.understand(&n, minor)
	switch {
	case err != nil:
		return err
	case r.Status == 101 && n.of[TransferEncoding] > 0:
		return ErrFraming
	case !r.bodiless():
		return n.check(minor)
	case n.of[ContentLength] > 1:
		return ErrLength
	case n.of[TransferEncoding] > 0, r.Length > 0 && r.Status != 304:
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
