package output

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// EscapeJSON writes the characters of a JSON text that do not show, which can only be within strings, as \uXXXX (RFC 8259 section 7). The text
// is as encoding/json writes it, or compact.
func EscapeJSON(text []byte) []byte {
	if !bytes.ContainsFunc(text, hidden) {
		return text
	}
	out := make([]byte, 0, len(text)+64)
	for _, r := range string(text) { // what is no UTF-8 becomes U+FFFD
		if hidden(r) {
			out = appendEscape(out, r)
		} else {
			out = utf8.AppendRune(out, r)
		}
	}
	return out
}

func hidden(r rune) bool {
	return !unicode.IsPrint(r) && r != '\n' || r == utf8.RuneError
}

func appendEscape(out []byte, r rune) []byte {
	if r > 0xffff {
		high, low := utf16.EncodeRune(r)
		return fmt.Appendf(out, `\u%04x\u%04x`, high, low)
	}
	return fmt.Appendf(out, `\u%04x`, r)
}

// JSONForYAML makes valid JSON a text that is YAML too, with the same values; any other text stays as it is. A JSON string may have characters
// as they are that YAML refuses or, as U+0085, takes for the end of a line, and escapes that the YAML library does not know: \/ and the two halves
// of a character, which become that character (RFC 8259 section 7; YAML 1.2.2 sections 5.1, 5.4 and 5.7).
func JSONForYAML(text []byte) []byte {
	if !json.Valid(text) {
		return text
	}
	out := make([]byte, 0, len(text)+64)
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		switch {
		case bytes.HasPrefix(text, []byte(`\/`)):
			r, size = '/', 2
		case r == '\\':
			r, size = surrogate(text)
		}
		switch {
		case r == '\\':
			size = min(2, len(text))
			out = append(out, text[:size]...)
		case notYAML(r):
			out = appendEscape(out, r)
		default:
			out = utf8.AppendRune(out, r)
		}
		text = text[size:]
	}
	return out
}

func notYAML(r rune) bool {
	return 0x7f <= r && r <= 0x9f || r == 0x2028 || r == 0x2029 || r == 0xfffe || r == 0xffff
}

// surrogate reads the character that two escapes stand for, each of a half of it, and how long they are. Of a half alone it is U+FFFD, as of
// encoding/json; of any other escape it is the backslash.
func surrogate(text []byte) (r rune, size int) {
	high, ok := unit(text)
	if !ok || !utf16.IsSurrogate(high) {
		return '\\', 1
	}
	if low, ok := unit(text[6:]); ok {
		if r := utf16.DecodeRune(high, low); r != utf8.RuneError {
			return r, 12
		}
	}
	return utf8.RuneError, 6
}

// unit reads \uXXXX.
func unit(text []byte) (rune, bool) {
	if len(text) < 6 || text[0] != '\\' || text[1] != 'u' {
		return 0, false
	}
	u, err := strconv.ParseUint(string(text[2:6]), 16, 16)
	return rune(u), err == nil
}
