package head

import "bytes"

// Message is what heads of requests and of answers say of the body and of the connection. Slices point into the head.
type Message struct {
	// Length is the body's length in bytes unless Chunked. Without a Content-Length it is 0 of a request, and -1 of an answer.
	Length int64
	// Chunked says that the body comes in chunks (RFC 9112 section 7.1).
	Chunked bool
	// KeepAlive says that the connection persists (RFC 9112 section 9.3).
	KeepAlive bool
	// Upgrade is the protocol to switch to (RFC 9110 section 7.8); empty: none.
	Upgrade []byte
	// Options says that Connection names more than close, keep-alive and upgrade: fields to be dropped.
	Options bool
	// Fields in the order in which they came.
	Fields []Field
}

// startLine returns the first line of a head, and what follows on it.
func startLine(b []byte, l Limits) (line, rest []byte, err error) {
	end := lineEnd(b)
	switch {
	case len(b) > l.Bytes:
		return nil, nil, ErrTooLarge
	case end < 0:
		return nil, nil, ErrLine
	}
	return b[:end], b[end+2:], nil
}

// lineEnd returns where the CRLF of the first line is; negative: it has none.
func lineEnd(b []byte) int {
	end := bytes.IndexByte(b, '\r')
	if end+1 >= len(b) || b[end+1] != '\n' {
		return -1
	}
	return end
}

// counts is what the fields of a head say together.
type counts struct {
	of                   [kindCount]int32 // how many there are of a kind
	host                 []byte
	close, keep, upgrade bool // options of Connection
	expect, trailers     bool
	foreign              bool // a coding is not chunked
	framing              bool // is to come in trailers
}

// understand reads from the fields what framing and forwarding need.
func (m *Message) understand(n *counts, minor int) (err error) { //nolint:gocyclo // a table
	m.Length = -1
	for i := range m.Fields {
		f := &m.Fields[i]
		n.of[f.Kind]++
		switch f.Kind {
		case Host:
			n.host = f.Value
		case ContentLength:
			if m.Length, err = length(&f.Value); err != nil {
				return err
			}
		case TransferEncoding:
			n.foreign = n.foreign || !equal(f.Value, "chunked")
		case Connection:
			m.Options = n.connection(f.Value) || m.Options
		case Upgrade:
			m.Upgrade = f.Value
		case Expect:
			n.expect = equal(f.Value, "100-continue")
		case TE:
			n.trailers = n.trailers || Lists(f.Value, "trailers")
		case Trailer:
			n.framing = n.framing || Lists(f.Value, "content-length") || Lists(f.Value, "transfer-encoding") || Lists(f.Value, "trailer")
		default:
		}
	}
	if !n.upgrade || n.of[Upgrade] != 1 {
		m.Upgrade = nil
	}
	m.Chunked, m.KeepAlive = n.of[TransferEncoding] > 0, !n.close && (minor == 1 || n.keep)
	return nil
}

// connection notes the options that have a meaning here; it reports whether there are others (RFC 9110 section 7.6.1).
func (n *counts) connection(list []byte) (others bool) {
	for option := range bytes.SplitSeq(list, comma) {
		switch option = trim(option); {
		case equal(option, "close"):
			n.close = true
		case equal(option, "keep-alive"):
			n.keep = true
		case equal(option, "upgrade"):
			n.upgrade = true
		case len(option) > 0:
			others = true
		}
	}
	return others
}

// check refuses what frames a message in two ways, or announces trailers that a sender must not (RFC 9110 section 6.5.1).
func (n *counts) check(minor int) error {
	switch lengths, codings := n.of[ContentLength], n.of[TransferEncoding]; {
	case lengths > 1:
		return ErrLength
	case codings > 1, n.foreign:
		return ErrCoding
	case codings > 0 && (lengths > 0 || minor == 0): // RFC 9112 section 6.1
		return ErrFraming
	case codings > 0 && n.framing:
		return ErrTrailer
	}
	return nil
}
