package head

import (
	"strings"
	"unsafe"
)

// Take begins the head of a request that came in another version of HTTP, without a copy: Add adds its fields, and Complete ends it. What
// ParseRequest demands of the same request in HTTP/1.1 holds for it. The storage of r.Fields is used again.
func (r *Request) Take(method, target, host string) error {
	*r = Request{
		Method: raw(method), Target: raw(target), Minor: 1, KeepAlive: true,
		Fields: append(r.Fields[:0], Field{Name: hostName, Value: raw(host), Kind: Host}),
	}
	switch {
	case !isToken(r.Method) || target == "" || strings.IndexFunc(target, blank) >= 0:
		return ErrRequestLine
	case control(raw(host)) != "":
		return ErrHost
	}
	return nil
}

// Add adds a field, whose name may have any case. One that says the host is left out.
func (r *Request) Add(name, value string, l Limits) error {
	kind := kindOf(raw(name))
	switch {
	case kind == Host:
		return nil
	case kind == TransferEncoding: // RFC 9113 section 8.2.2
		return ErrCoding
	case !isToken(raw(name)):
		return ErrField
	case len(r.Fields) > l.Fields: // the host is not counted
		return ErrTooLarge
	}
	if bad := control(raw(value)); bad != "" {
		return bad
	}
	r.Fields = append(r.Fields, Field{Name: raw(name), Value: trim(raw(value)), Kind: kind})
	return nil
}

// Complete ends a head. Length is that of the body in bytes; negative: it is not known.
func (r *Request) Complete(length int64) error {
	if err := r.understand(); err != nil {
		return err
	}
	if r.HasLength && r.Length != length { // RFC 9113 section 8.1.1
		return ErrLength
	}
	r.Length, r.Chunked = max(length, 0), length < 0
	return nil
}

// FieldOf returns a field without a copy. Nobody may write to its slices.
func FieldOf(name, value string) Field {
	return Field{Name: raw(name), Value: trim(raw(value)), Kind: kindOf(raw(name))}
}

// Text is the name and the value without a copy: valid as long as the field is.
func (f *Field) Text() (name, value string) {
	return unsafe.String(unsafe.SliceData(f.Name), len(f.Name)), unsafe.String(unsafe.SliceData(f.Value), len(f.Value)) //nolint:gosec // nobody writes to them meanwhile
}

// KindOf returns the kind of a field's name, in any case.
func KindOf(name string) Kind { return kindOf(raw(name)) }

var hostName = []byte("Host") // read only

func blank(c rune) bool { return c <= ' ' || c == 0x7f }

// raw is the string's bytes, which nobody writes to.
func raw(s string) []byte {
	return unsafe.Slice(unsafe.StringData(s), len(s)) //nolint:gosec // it is read only
}
