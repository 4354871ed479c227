package head

import (
	"strings"
	"unsafe"
)

// Parts are a request that a server of another version of HTTP has read.
type Parts struct {
	Method, Target, Host string
	// Header has the fields, with names of any case. A host in it is not looked at.
	Header map[string][]string
	// Length is the body's length in bytes; negative: it is not known.
	Length int64
}

// Assemble makes of parts, without a copy, what ParseRequest would have made of the same request in HTTP/1.1: the same
// grammar holds, so that what is written from r is read as what it is. The storage of r.Fields is used again.
func Assemble(p *Parts, l Limits, r *Request) error {
	*r = Request{
		Method: raw(p.Method), Target: raw(p.Target), Minor: 1, KeepAlive: true,
		Fields: append(r.Fields[:0], Field{Name: hostName, Value: raw(p.Host), Kind: Host}),
	}
	if !isToken(r.Method) || p.Target == "" || strings.IndexFunc(p.Target, blank) >= 0 {
		return ErrRequestLine
	}
	for name, values := range p.Header {
		kind := kindOf(raw(name))
		switch {
		case kind == Host:
			continue
		case kind == TransferEncoding: // RFC 9113 section 8.2.2
			return ErrCoding
		case !isToken(raw(name)):
			return ErrField
		}
		for _, v := range values {
			if len(r.Fields) > l.Fields { // the host is not counted
				return ErrTooLarge
			}
			if bad := control(raw(v)); bad != "" {
				return bad
			}
			r.Fields = append(r.Fields, Field{Name: raw(name), Value: trim(raw(v)), Kind: kind})
		}
	}
	if control(raw(p.Host)) != "" {
		return ErrHost
	}
	if err := r.understand(); err != nil {
		return err
	}
	if r.HasLength && r.Length != p.Length { // RFC 9113 section 8.1.1
		return ErrLength
	}
	r.Length, r.Chunked = max(p.Length, 0), p.Length < 0
	return nil
}

// KindOf returns the kind of a field's name, in any case.
func KindOf(name string) Kind { return kindOf(raw(name)) }

var hostName = []byte("Host") // read only

func blank(c rune) bool { return c <= ' ' || c == 0x7f }

// raw is the string's bytes, which nobody writes to.
func raw(s string) []byte {
	return unsafe.Slice(unsafe.StringData(s), len(s)) //nolint:gosec // it is read only
}
