package head

import (
	"bytes"
	"encoding/binary"

	"golang.org/x/net/http/httpguts"
)

// The delimiters of a head, read only.
var (
	space = []byte(" ")
	comma = []byte(",")
)

// tokenBytes holds for tchar of RFC 9110 section 5.6.2.
var tokenBytes = func() (t [256]bool) {
	for c := range t {
		t[c] = httpguts.IsTokenRune(rune(c))
	}
	return t
}()

// isToken holds for token of RFC 9110 section 5.6.2.
func isToken(b []byte) bool {
	for _, c := range b {
		if !tokenBytes[c] {
			return false
		}
	}
	return len(b) > 0
}

// IsToken holds for token of RFC 9110 section 5.6.2.
func IsToken(s string) bool { return isToken(raw(s)) }

// IsValue holds for field-value of RFC 9110 section 5.5, in which nothing but visible characters, spaces and tabs may be.
// It may be empty; it has no white space around it.
func IsValue(s string) bool {
	return control(raw(s)) == "" && len(trim(raw(s))) == len(s)
}

// control looks for a byte that a field value must not have (RFC 9110 section 5.5): every control byte but the tab. It
// looks at eight bytes at a time; values are mostly tokens of a thousand bytes.
func control(b []byte) Error {
	const (
		ones  = 0x0101010101010101
		highs = 0x8080808080808080
	)
	for len(b) >= 8 {
		x := binary.LittleEndian.Uint64(b)
		below := (x - 0x20*ones) &^ x & highs // some byte is below 0x20
		d := x ^ 0x7f*ones
		del := (d - ones) &^ d & highs // some byte is 0x7f
		if below|del != 0 {
			if err := controlByte(b[:8]); err != "" {
				return err
			}
		}
		b = b[8:]
	}
	return controlByte(b)
}

func controlByte(b []byte) Error {
	for _, c := range b {
		switch {
		case c == '\n', c == '\r':
			return ErrLine
		case c < ' ' && c != '\t', c == 0x7f:
			return ErrField
		}
	}
	return ""
}

// equal compares without the case of letters in ASCII.
func equal(b []byte, s string) bool {
	if len(b) != len(s) {
		return false
	}
	for i, c := range b {
		if c != s[i] && (c^s[i] != 0x20 || c|0x20 < 'a' || c|0x20 > 'z') {
			return false
		}
	}
	return true
}

// Lists reports whether a comma-separated list has the name, without case.
func Lists(list []byte, name string) bool {
	for element := range bytes.SplitSeq(list, comma) {
		if equal(trim(element), name) {
			return true
		}
	}
	return false
}
