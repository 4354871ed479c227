package head

import "bytes"

// The delimiters of a head, read only.
var (
	crlf  = []byte("\r\n")
	space = []byte(" ")
	colon = []byte(":")
)

// isToken holds for token of RFC 9110 section 5.6.2.
func isToken(b []byte) bool {
	for _, c := range b {
		if !isTokenByte(c) {
			return false
		}
	}
	return len(b) > 0
}

func isTokenByte(c byte) bool {
	switch {
	case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		return true
	}
	switch c {
	case '!', '#', '$', '%', '&', '\'', '*', '+', '-', '.', '^', '_', '`', '|', '~':
		return true
	}
	return false
}

// equal compares with a text in lower case, whatever the case of b.
func equal(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// lists reports whether a comma-separated list has the element.
func lists(b []byte, lower string) bool {
	for len(b) > 0 {
		var element []byte
		element, b, _ = bytes.Cut(b, []byte(","))
		if equal(bytes.Trim(element, " \t"), lower) {
			return true
		}
	}
	return false
}
