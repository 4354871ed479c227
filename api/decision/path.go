package decision

import (
	"strings"
	"unicode/utf8"

	"github.com/bearerguard/bearerguard/api/policy"
)

const upperHex = "0123456789ABCDEF"

// PathOptions say how paths are read.
type PathOptions struct {
	// Slash says whether an encoded slash is refused (the default).
	Slash policy.EncodedSlash
	// AsSent says that the app gets the path as it was sent, so that it is the app that reads it.
	AsSent bool
}

// Path is the path of a request target, without query.
type Path struct {
	// Forward is what the app gets: the canonical path, or with PathOptions.AsSent the path as it was sent.
	Forward string
	// Match is what rules see: see Request.Path.
	Match string
	// Readings are other ways in which an app may read what it gets; nil: there are none. See Request.Readings.
	Readings []Reading
}

// ReadPath brings the path of a request target to its canonical form and to the form that rules see.
//
// The canonical form is a normal form of RFC 3986 section 6.2.2: escapes of unreserved characters are decoded, all others
// stay, in upper case, since an encoded reserved character is not the same as the raw one (section 2.2). What may not be
// raw in a path is encoded, and ";" too: so no app takes what follows for a path parameter. Repeated slashes become one
// and dot segments are resolved, encoded or not. An encoded slash is refused, or with policy.KeepEncodedSlash stays "%2F"
// inside its segment. Whatever cannot be read in one way only is refused: the error is a ShapeError.
//
// Rules see the same path with one spelling for each decoded segment: "%3D" is "=" there.
//
// Both forms are fixed points. A path that is canonical already costs no allocation, unless it has an encoded reserved
// character.
func ReadPath(raw string, o PathOptions) (Path, error) {
	if raw == "" || raw[0] != '/' {
		return Path{}, ErrPathStart
	}
	if plainPath(raw) {
		return Path{Forward: raw, Match: raw}, nil
	}
	keep := o.Slash == policy.KeepEncodedSlash
	canonical, err := canonicalPath(raw, keep)
	if err != nil {
		return Path{}, err
	}
	p := Path{Forward: canonical, Match: matchForm(canonical)}
	switch {
	case o.AsSent && strings.IndexByte(raw, ' ') >= 0: // it would end the target (RFC 9112 section 3)
		err = ErrPathSpace
	case o.AsSent:
		p.Forward = raw
		p.Readings, err = readings(raw, p.Match)
	case keep && strings.Contains(canonical, "%2F"):
		p.Readings, err = readings(canonical, p.Match)
	}
	if err != nil {
		return Path{}, err
	}
	return p, nil
}

// canonicalPath returns the canonical form of a path that starts with a slash.
func canonicalPath(raw string, keepSlash bool) (string, error) {
	var space [512]byte
	out, err := appendCanonical(space[:0], raw, keepSlash)
	if err != nil {
		return "", err
	}
	if string(out) == raw {
		return raw, nil
	}
	return string(out), nil
}

// matchForm decodes the escapes of a canonical path whose characters may be raw in one, so that segments which decode to
// the same are the same. It does not allocate where there are none.
func matchForm(canonical string) string {
	i := strings.IndexByte(canonical, '%')
	for ; i >= 0 && i < len(canonical); i++ {
		if canonical[i] == '%' && rawInPath(escaped(canonical, i)) {
			break
		}
	}
	if i < 0 || i == len(canonical) {
		return canonical
	}
	out := append(make([]byte, 0, len(canonical)), canonical[:i]...)
	for ; i < len(canonical); i++ {
		c := canonical[i]
		if c == '%' && rawInPath(escaped(canonical, i)) {
			c = escaped(canonical, i)
			i += 2
		}
		out = append(out, c)
	}
	return string(out)
}

// escaped returns the byte that the escape at position i of a canonical path stands for.
func escaped(canonical string, i int) byte {
	return byte(unhex(canonical[i+1])<<4 | unhex(canonical[i+2]))
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

// rawInPath reports whether a character may stand for itself in a canonical path: pchar of RFC 3986 section 3.3 but ";".
func rawInPath(c byte) bool { return unreserved(c) || strings.IndexByte("!$&'()*+,=:@", c) >= 0 }

// unreserved reports whether an escape of the character is the character (RFC 3986 section 2.3).
func unreserved(c byte) bool {
	return alphanumeric(c) || c == '-' || c == '.' || c == '_' || c == '~'
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

// appendSegment checks one segment and writes it in canonical form.
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
		if unreserved(c) || !encoded && rawInPath(c) {
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
	case c == 0:
		return ErrPathNUL
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
