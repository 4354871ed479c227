// Package requestid holds the ids by which a request is found again: in the client's hands, in the sidecar's log, and in
// the app's. A client may choose the id; since it gets into logs, what it may have in it is bounded.
package requestid

import (
	"encoding/hex"
	"math/rand/v2"
	"strings"
	"unsafe"
)

const (
	// Header is the field that carries an id, in canonical MIME form.
	Header = "X-Request-Id"
	// Max is how long an id that a client chose may be, in bytes.
	Max = 128
	// others are the bytes of an id that are neither letters nor digits: those of UUIDs, base64 and paths. Nothing that
	// means something to JSON, HTML, a shell or a template of a logger is among them.
	others = "-_.:/+=@"
)

// ID is the id of one request. It holds its own text, so that it outlives the request's memory and costs no allocation.
// The zero ID is none.
type ID struct {
	length uint8
	text   [Max]byte
}

// Choose takes the id that a client gave if it is sane, and else makes one.
func (id *ID) Choose(given string) {
	if !Sane(given) {
		id.Make()
		return
	}
	id.length = uint8(copy(id.text[:], given)) //nolint:gosec // at most Max
}

// ChooseOf is Choose for the values of the field of a request: two ids are none.
func (id *ID) ChooseOf(values []string) {
	if len(values) != 1 {
		id.Make()
		return
	}
	id.Choose(values[0])
}

// Of returns the id for the values of the field of a request, in memory of its own.
func Of(values []string) string {
	var id ID
	id.ChooseOf(values)
	return strings.Clone(id.Text())
}

// Make makes an id: 32 hexadecimal digits.
func (id *ID) Make() {
	var raw [16]byte
	for i, v := range [2]uint64{rand.Uint64(), rand.Uint64()} { //nolint:gosec // an id to find a request by is no secret
		for j := range 8 {
			raw[8*i+j] = byte(v >> (8 * j))
		}
	}
	id.length = uint8(hex.Encode(id.text[:], raw[:])) //nolint:gosec // 32
}

// None reports whether there is no id yet.
func (id *ID) None() bool { return id.length == 0 }

// Text returns the id without a copy: it is valid until the ID is changed.
func (id *ID) Text() string {
	return unsafe.String(&id.text[0], int(id.length)) //nolint:gosec // documented
}

// Sane reports whether an id may be passed on and logged: 1 to Max letters, digits and bytes out of "-_.:/+=@".
func Sane(id string) bool {
	if id == "" || len(id) > Max {
		return false
	}
	for i := range len(id) {
		c := id[i]
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && (c < '0' || c > '9') && strings.IndexByte(others, c) < 0 {
			return false
		}
	}
	return true
}
