package head

import "unsafe"

// Take begins the head of a request that came in another version of HTTP and has been checked there, without a copy. Its fields, but one
// that says the host, are to be appended, and Complete ends it. The storage of r.Fields is used again.
func (r *Request) Take(method, target, host string) {
	fields := append(r.Fields[:0], Field{Name: hostName, Value: raw(host), Kind: Host})
	*r = Request{Method: raw(method), Target: raw(target), Minor: 1, Message: Message{Fields: fields}}
}

// Complete ends a head: what ParseRequest demands of all fields together holds for it. Length is that of the body in bytes; negative: it is
// not known.
func (r *Request) Complete(length int64) error {
	if err := r.understand(); err != nil {
		return err
	}
	r.Length, r.Chunked = max(length, 0), length < 0
	if r.Chunked && r.framing {
		return ErrTrailer
	}
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

// raw is the string's bytes, which nobody writes to.
func raw(s string) []byte {
	return unsafe.Slice(unsafe.StringData(s), len(s)) //nolint:gosec // it is read only
}
