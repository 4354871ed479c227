package strictjson

import (
	"unicode/utf16"
	"unicode/utf8"
)

// str reads a string, the next byte being its opening quote (RFC 8259 section 7).
func (p *parser) str() (string, error) {
	p.i++
	start := p.i
	for p.i < len(p.s) {
		switch c := p.s[p.i]; {
		case c == '"':
			s := p.s[start:p.i]
			p.i++
			return s, nil
		case c == '\\':
			return p.escaped(start)
		case c < 0x20:
			return "", p.fail("has a control character in a string")
		}
		p.i++
	}
	return "", p.fail("ends inside a string")
}

// escaped reads the rest of a string from its first backslash on.
func (p *parser) escaped(start int) (string, error) {
	out := make([]byte, 0, p.i-start+32)
	out = append(out, p.s[start:p.i]...)
	for p.i < len(p.s) {
		switch c := p.s[p.i]; {
		case c == '"':
			p.i++
			return string(out), nil
		case c == '\\':
			r, err := p.escape()
			if err != nil {
				return "", err
			}
			out = utf8.AppendRune(out, r)
			continue
		case c < 0x20:
			return "", p.fail("has a control character in a string")
		default:
			out = append(out, c)
		}
		p.i++
	}
	return "", p.fail("ends inside a string")
}

// escape reads one escape, or the two of a surrogate pair.
func (p *parser) escape() (rune, error) {
	p.i++
	if p.i >= len(p.s) {
		return 0, p.fail("ends inside a string")
	}
	c := p.s[p.i]
	p.i++
	switch c {
	case '"', '\\', '/':
		return rune(c), nil
	case 'b':
		return '\b', nil
	case 'f':
		return '\f', nil
	case 'n':
		return '\n', nil
	case 'r':
		return '\r', nil
	case 't':
		return '\t', nil
	case 'u':
		return p.unicode()
	}
	return 0, p.fail("has a malformed escape")
}

func (p *parser) unicode() (rune, error) {
	r, ok := p.hex()
	if !ok {
		return 0, p.fail("has a malformed escape")
	}
	if !utf16.IsSurrogate(r) {
		return r, nil
	}
	if p.at('\\') && p.at('u') {
		if low, ok := p.hex(); ok {
			if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
				return pair, nil
			}
		}
	}
	return 0, p.fail("has a lone surrogate")
}

// hex reads four hexadecimal digits.
func (p *parser) hex() (rune, bool) {
	if len(p.s)-p.i < 4 {
		return 0, false
	}
	var r rune
	for range 4 {
		c := p.s[p.i]
		switch {
		case c >= '0' && c <= '9':
			r = r<<4 | rune(c-'0')
		case c >= 'a' && c <= 'f':
			r = r<<4 | rune(c-'a'+10)
		case c >= 'A' && c <= 'F':
			r = r<<4 | rune(c-'A'+10)
		default:
			return 0, false
		}
		p.i++
	}
	return r, true
}
