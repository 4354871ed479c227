package decision

import (
	"strings"
	"unicode/utf8"

	"github.com/bearerguard/bearerguard/api/policy"
)

// PathError says why a path cannot be brought to one canonical form. The texts are constants; none holds the path.
type PathError string

// Error returns the text.
func (e PathError) Error() string { return string(e) }

// The reasons to refuse a path.
const (
	ErrPathStart        PathError = "path does not start with a slash"
	ErrPathEscape       PathError = "path has a percent sign without two hexadecimal digits"
	ErrPathControl      PathError = "path has a control byte"
	ErrPathBackslash    PathError = "path has a backslash"
	ErrPathEncodedSlash PathError = "path has an encoded slash"
	ErrPathDelimiter    PathError = "path has a raw question mark or number sign"
	ErrPathUTF8         PathError = "path is not UTF-8"
	ErrPathClimb        PathError = "path has a dot segment that climbs out"
	ErrPathHiddenDots   PathError = "path has a dot segment between encoded slashes"
)

const upperHex = "0123456789ABCDEF"

// CanonicalPath returns the one spelling of a request path that rules see and the app gets (RFC 3986 section 6.2.2).
// The input is the path of the request target, without query. Escapes are decoded and only unreserved characters,
// sub-delims except ";", ":" and "@" stay raw; everything else is written %XX in upper case. So ";" becomes "%3B":
// no app takes what follows for a path parameter. Repeated slashes become one and dot segments are resolved, encoded
// or not. An encoded slash is refused, or with policy.KeepEncodedSlash stays "%2F" inside its segment. Whatever cannot
// be read in one way only is refused: the error is a PathError.
//
// The result is a fixed point: CanonicalPath of it is itself. A path that is canonical already costs no allocation.
func CanonicalPath(raw string, slash policy.EncodedSlash) (string, error) {
	if raw == "" || raw[0] != '/' {
		return "", ErrPathStart
	}
	if plainPath(raw) {
		return raw, nil
	}
	var space [512]byte
	out, err := appendCanonical(space[:0], raw, slash == policy.KeepEncodedSlash)
	if err != nil {
		return "", err
	}
	if string(out) == raw {
		return raw, nil
	}
	return string(out), nil
}

// plainPath reports whether a path needs no work: only raw characters, no empty and no dotted segment.
func plainPath(s string) bool {
	for i := 1; i < len(s); i++ {
		c := s[i]
		if c == '/' || c == '.' {
			if s[i-1] == '/' {
				return false
			}
			continue
		}
		if !rawInPath(c) {
			return false
		}
	}
	return true
}

// rawInPath reports whether a character stands for itself in a canonical path.
func rawInPath(c byte) bool {
	switch {
	case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		return true
	}
	return strings.IndexByte("-._~!$&'()*+,=:@", c) >= 0
}

// appendCanonical writes the canonical form of raw, which starts with a slash, to out, which is empty.
func appendCanonical(out []byte, raw string, keepSlash bool) ([]byte, error) {
	for i := 0; i < len(raw); {
		for i < len(raw) && raw[i] == '/' {
			i++
		}
		end := i
		for end < len(raw) && raw[end] != '/' {
			end++
		}
		start := len(out)
		out = append(out, '/')
		var err error
		if out, err = appendSegment(out, raw[i:end], keepSlash); err != nil {
			return nil, err
		}
		switch string(out[start:]) {
		case "/.":
			out = out[:start]
		case "/..":
			if start == 0 {
				return nil, ErrPathClimb
			}
			start = lastSlash(out[:start])
			out = out[:start]
		default:
			i = end
			continue
		}
		if end == len(raw) { // RFC 3986 section 5.2.4: a final dot segment leaves its slash
			out = append(out, '/')
		}
		i = end
	}
	return out, nil
}

func lastSlash(b []byte) int {
	for i := len(b) - 1; i >= 0; i-- {
		if b[i] == '/' {
			return i
		}
	}
	return 0
}

// appendSegment decodes one segment, checks it and writes it in canonical form.
func appendSegment(out []byte, segment string, keepSlash bool) ([]byte, error) {
	start := len(out)
	kept := false
	for i := 0; i < len(segment); i++ {
		c := segment[i]
		encoded := c == '%'
		if encoded {
			if i+2 >= len(segment) || unhex(segment[i+1]) < 0 || unhex(segment[i+2]) < 0 {
				return nil, ErrPathEscape
			}
			c = byte(unhex(segment[i+1])<<4 | unhex(segment[i+2]))
			i += 2
		}
		if err := refuseByte(c, encoded, keepSlash); err != nil {
			return nil, err
		}
		kept = kept || c == '/'
		if rawInPath(c) {
			out = append(out, c)
		} else {
			out = append(out, '%', upperHex[c>>4], upperHex[c&15])
		}
	}
	if !validEscapedUTF8(out[start:]) {
		return nil, ErrPathUTF8
	}
	if kept && hiddenDots(string(out[start:])) {
		return nil, ErrPathHiddenDots
	}
	return out, nil
}

// refuseByte returns why a byte, raw or from an escape, may not be in a segment.
func refuseByte(c byte, encoded, keepSlash bool) error {
	switch {
	case c < 0x20 || c == 0x7f:
		return ErrPathControl
	case c == '\\':
		return ErrPathBackslash
	case c == '/' && !keepSlash:
		return ErrPathEncodedSlash
	case (c == '?' || c == '#') && !encoded:
		return ErrPathDelimiter
	}
	return nil
}

// hiddenDots reports whether a segment with encoded slashes has a dot segment between them, which an app that decodes
// once more than it should would resolve.
func hiddenDots(segment string) bool {
	for part := range strings.SplitSeq(segment, "%2F") {
		if part == "." || part == ".." {
			return true
		}
	}
	return false
}

// validEscapedUTF8 reports whether the escapes of a canonical segment are valid UTF-8.
func validEscapedUTF8(s []byte) bool {
	var run [utf8.UTFMax]byte
	n := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '%' {
			c = byte(unhex(s[i+1])<<4 | unhex(s[i+2]))
			i += 2
		}
		if c < utf8.RuneSelf {
			if n > 0 {
				return false
			}
			continue
		}
		run[n] = c
		n++
		if utf8.FullRune(run[:n]) {
			if r, size := utf8.DecodeRune(run[:n]); r == utf8.RuneError && size <= 1 {
				return false
			}
			n = 0
		}
	}
	return n == 0
}

// unhex returns the value of a hexadecimal digit, or -1.
func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// unescape decodes a canonical segment. It does not allocate where there is nothing to decode.
func unescape(segment string) string {
	if strings.IndexByte(segment, '%') < 0 {
		return segment
	}
	b := make([]byte, 0, len(segment))
	for i := 0; i < len(segment); i++ {
		c := segment[i]
		if c == '%' && i+2 < len(segment) {
			c = byte(unhex(segment[i+1])<<4 | unhex(segment[i+2]))
			i += 2
		}
		b = append(b, c)
	}
	return string(b)
}
