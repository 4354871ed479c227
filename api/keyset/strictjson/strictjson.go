// Package strictjson reads JSON the way signed documents need it read: one text has one meaning.
//
// It refuses what RFC 8259 leaves to the reader and RFC 7493 (I-JSON) forbids: duplicate member names (RFC 7515
// section 4, RFC 7519 section 4), lone surrogates, invalid UTF-8, numbers beyond a double; and trailing data, a byte
// order mark, and nesting deeper than MaxDepth. Two readers of a document that it accepts cannot disagree about it.
package strictjson

import (
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"
)

// MaxDepth is how deep arrays and objects may nest; the outermost counts as one.
const MaxDepth = 32

// typicalMember is about as long as a member is, name and value, in bytes.
const typicalMember = 24

// typicalList is how many values most lists have at most.
const typicalList = 4

// maxNumber is the longest number text, in bytes.
const maxNumber = 64

// Error says what is wrong with a document, never what it holds.
type Error struct {
	// Problem is a constant text that reads on after the document's name: "has a duplicate member".
	Problem string
	// Offset in bytes where it was noticed.
	Offset int
	// Member is the name of a duplicate member. It is the document's own, so Error leaves it out.
	Member string
}

// Error returns the problem and the offset.
func (e *Error) Error() string { return e.Problem + " at byte " + strconv.Itoa(e.Offset) }

// Object is ObjectOf a copy of data.
func Object(data []byte) (map[string]any, error) { return ObjectOf(string(data)) }

// ObjectOf reads a document that is one JSON object. Values are string, json.Number, bool, nil, []any and
// map[string]any. Strings may share memory with text.
func ObjectOf(text string) (map[string]any, error) {
	p := parser{s: text}
	if !utf8.ValidString(p.s) {
		return nil, p.fail("is not valid UTF-8")
	}
	p.space()
	if strings.HasPrefix(p.s[p.i:], "\ufeff") {
		return nil, p.fail("begins with a byte order mark")
	}
	if p.i >= len(p.s) || p.s[p.i] != '{' {
		return nil, p.fail("is not a JSON object")
	}
	m, err := p.object()
	if err != nil {
		return nil, err
	}
	p.space()
	if p.i != len(p.s) {
		return nil, p.fail("has data after its end")
	}
	return m, nil
}

// Value reads a document that is one JSON value of any kind, as Object does.
func Value(data []byte) (any, error) {
	p := parser{s: string(data)}
	if !utf8.ValidString(p.s) {
		return nil, p.fail("is not valid UTF-8")
	}
	v, err := p.value()
	if err != nil {
		return nil, err
	}
	p.space()
	if p.i != len(p.s) {
		return nil, p.fail("has data after its end")
	}
	return v, nil
}

type parser struct {
	s     string
	i     int
	depth int
}

func (p *parser) fail(problem string) error { return &Error{Problem: problem, Offset: p.i} }

// space skips what RFC 8259 section 2 calls ws.
func (p *parser) space() {
	for p.i < len(p.s) {
		switch p.s[p.i] {
		case ' ', '\t', '\n', '\r':
			p.i++
		default:
			return
		}
	}
}

// next skips white space and returns the byte after it, 0 at the end.
func (p *parser) next() byte {
	p.space()
	if p.i >= len(p.s) {
		return 0
	}
	return p.s[p.i]
}

func (p *parser) value() (any, error) {
	switch c := p.next(); {
	case c == '"':
		return p.str()
	case c == '{':
		return p.object()
	case c == '[':
		return p.array()
	case c == '-' || c >= '0' && c <= '9':
		return p.number()
	case c == 't':
		return true, p.literal("true")
	case c == 'f':
		return false, p.literal("false")
	case c == 'n':
		return nil, p.literal("null")
	}
	return nil, p.fail("is not valid JSON")
}

func (p *parser) literal(want string) error {
	if len(p.s)-p.i < len(want) || p.s[p.i:p.i+len(want)] != want {
		return p.fail("is not valid JSON")
	}
	p.i += len(want)
	return nil
}

// enter steps over an opening bracket.
func (p *parser) enter() error {
	if p.depth++; p.depth > MaxDepth {
		return p.fail("nests deeper than 32")
	}
	p.i++
	return nil
}

// more steps over a comma or the closing bracket after a value and reports whether another value must follow.
func (p *parser) more(closing byte) (bool, error) {
	switch p.next() {
	case ',':
		p.i++
		return true, nil
	case closing:
		p.i++
		p.depth--
		return false, nil
	}
	return false, p.fail("is not valid JSON")
}

func (p *parser) object() (map[string]any, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	size := 0
	if p.depth == 1 {
		size = min(len(p.s)/typicalMember, strings.Count(p.s, ":"), 64) // saves the map from growing step by step
	}
	m := make(map[string]any, size)
	if p.next() == '}' {
		p.i++
		p.depth--
		return m, nil
	}
	for {
		if err := p.member(m); err != nil {
			return nil, err
		}
		if again, err := p.more('}'); err != nil || !again {
			return m, err
		}
	}
}

func (p *parser) member(m map[string]any) error {
	if p.next() != '"' {
		return p.fail("is not valid JSON")
	}
	name, err := p.str()
	if err != nil {
		return err
	}
	named, before := p.i, len(m)
	if p.next() != ':' {
		return p.fail("is not valid JSON")
	}
	p.i++
	v, err := p.value()
	if err != nil {
		return err
	}
	if m[name] = v; len(m) == before {
		return &Error{Problem: "has a duplicate member", Offset: named, Member: name}
	}
	return nil
}

func (p *parser) array() ([]any, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	if p.next() == ']' {
		p.i++
		p.depth--
		return []any{}, nil
	}
	list := make([]any, 0, typicalList)
	for {
		v, err := p.value()
		if err != nil {
			return nil, err
		}
		list = append(list, v)
		if again, err := p.more(']'); err != nil || !again {
			return list, err
		}
	}
}

// number follows the grammar of RFC 8259 section 6.
func (p *parser) number() (json.Number, error) {
	start := p.i
	if p.s[p.i] == '-' {
		p.i++
	}
	whole := p.i
	if !p.digits() || p.s[whole] == '0' && p.i > whole+1 {
		return "", p.fail("has a malformed number")
	}
	if p.at('.') && !p.digits() {
		return "", p.fail("has a malformed number")
	}
	exponent := p.at('e') || p.at('E')
	if exponent {
		_ = p.at('+') || p.at('-')
		if !p.digits() {
			return "", p.fail("has a malformed number")
		}
	}
	text := p.s[start:p.i]
	if len(text) > maxNumber {
		return "", p.fail("has a number of more than 64 bytes")
	}
	if exponent {
		if _, err := strconv.ParseFloat(text, 64); err != nil {
			return "", p.fail("has a number out of range")
		}
	}
	return json.Number(text), nil
}

// at steps over the byte if it is next.
func (p *parser) at(c byte) bool {
	if p.i < len(p.s) && p.s[p.i] == c {
		p.i++
		return true
	}
	return false
}

// digits steps over decimal digits and reports whether there was any.
func (p *parser) digits() bool {
	start := p.i
	for p.i < len(p.s) && p.s[p.i] >= '0' && p.s[p.i] <= '9' {
		p.i++
	}
	return p.i > start
}
