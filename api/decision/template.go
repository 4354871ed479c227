package decision

import (
	"fmt"
	"strings"

	"github.com/bearerguard/bearerguard/api/policy"
)

const maxTemplateSegments = 64

// template is a parsed path template: segments, and at most one ** between or after them.
type template struct {
	segments []segment // before **, or all
	deep     bool      // has **, which stands for any number of segments, none included
	back     []segment // after **
	raw      string    // as the policy has it
}

// segment is one segment of a template, other than **.
type segment struct {
	literal string       // canonical; "" is the empty segment after a final slash
	capture string       // name of a {name}
	any     bool         // {name}, * or {*}
	pattern *textPattern // "v*", "*.json", "a*z", with canonical parts
}

// fits reports whether a segment of a canonical path fits.
func (s *segment) fits(part string) bool {
	switch {
	case s.any:
		return part != ""
	case s.pattern != nil:
		return s.pattern.fitsSegment(part)
	}
	return part == s.literal
}

// fitsSegment is fits for a segment of a canonical path, in which an escape is one character: "*4" does not fit "%C3%A4".
func (p *textPattern) fitsSegment(part string) bool {
	return p.fits(part) && wholeEscapes(part, len(part)-len(p.suffix))
}

// wholeEscapes reports whether position at of a canonical segment is not inside an escape.
func wholeEscapes(part string, at int) bool {
	return at == len(part) || (at < 1 || part[at-1] != '%') && (at < 2 || part[at-2] != '%')
}

// templateError is what is wrong with a template, and what is expected.
type templateError struct {
	problem, want string
}

// parseTemplate reads a path template. Literal segments are brought to the form of Path.Match.
func parseTemplate(raw string, slash policy.EncodedSlash) (*template, *templateError) {
	if len(raw) > 1024 {
		return nil, &templateError{fmt.Sprintf("has %d bytes", len(raw)), "at most 1024"}
	}
	if !strings.HasPrefix(raw, "/") {
		return nil, &templateError{"does not start with a slash", `a template such as "/orders/{id}"`}
	}
	parts := strings.Split(raw[1:], "/")
	if len(parts) > maxTemplateSegments {
		return nil, &templateError{fmt.Sprintf("has %d segments", len(parts)), fmt.Sprintf("at most %d", maxTemplateSegments)}
	}
	t := &template{raw: raw}
	for i, part := range parts {
		if part == "**" || part == "{**}" {
			if t.deep {
				return nil, &templateError{"has ** twice", "one ** a template"}
			}
			t.deep = true
			continue
		}
		s, err := parseSegment(part, i == len(parts)-1, slash)
		if err != nil {
			return nil, err
		}
		if s.capture != "" && t.captures(s.capture) {
			return nil, &templateError{fmt.Sprintf("captures {%s} twice", s.capture), "one capture a name"}
		}
		if t.deep {
			t.back = append(t.back, s)
		} else {
			t.segments = append(t.segments, s)
		}
	}
	return t, nil
}

func parseSegment(part string, last bool, slash policy.EncodedSlash) (segment, *templateError) {
	switch {
	case part == "" && !last:
		return segment{}, &templateError{"has an empty segment", "single slashes; requests are matched with slashes merged"}
	case part == "*" || part == "{*}":
		return segment{any: true}, nil
	case strings.HasPrefix(part, "{") && strings.HasSuffix(part, "}"):
		name := part[1 : len(part)-1]
		if !captureName(name) {
			return segment{}, &templateError{
				fmt.Sprintf("captures %q", name),
				"a name of letters, digits and _ that does not start with a digit and is no reserved word of CEL"}
		}
		return segment{any: true, capture: name}, nil
	case strings.ContainsAny(part, "{}") || strings.Count(part, "*") > 1:
		return segment{}, &templateError{
			"has {, } or several * in a segment",
			`*, ** or {name} as a whole segment, or one * in it, as in "v*" or "*.json"; literal ones are written %2A, %7B, %7D`}
	case strings.ContainsAny(part, "?#"):
		return segment{}, &templateError{"has a raw ? or #", "a path without query or fragment; literal ones are written %3F, %23"}
	}
	if prefix, suffix, ok := strings.Cut(part, "*"); ok {
		return parsePattern(prefix, suffix, slash)
	}
	canonical, err := canonicalSegment(part, slash)
	if err != nil {
		return segment{}, err
	}
	if canonical == "." || canonical == ".." {
		return segment{}, &templateError{"has a dot segment", "a path without . and .. segments"}
	}
	return segment{literal: canonical}, nil
}

func parsePattern(prefix, suffix string, slash policy.EncodedSlash) (segment, *templateError) {
	var p textPattern
	var err *templateError
	if p.prefix, err = canonicalSegment(prefix, slash); err != nil {
		return segment{}, err
	}
	if p.suffix, err = canonicalSegment(suffix, slash); err != nil {
		return segment{}, err
	}
	return segment{pattern: &p}, nil
}

// canonicalSegment returns a segment, or a part of one, as it is in Path.Match.
func canonicalSegment(raw string, slash policy.EncodedSlash) (string, *templateError) {
	out, err := appendSegment(nil, raw, slash == policy.KeepEncodedSlash)
	if err != nil {
		return "", &templateError{err.Error(), "a path that a request can have"}
	}
	return matchForm(string(out)), nil
}

// captureName reports whether a name can be used as path.name in CEL.
func captureName(s string) bool {
	if s == "" || len(s) > 64 || s[0] >= '0' && s[0] <= '9' {
		return false
	}
	for i := range len(s) {
		if !alphanumeric(s[i]) && s[i] != '_' {
			return false
		}
	}
	switch s {
	case "true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if", "import",
		"let", "loop", "package", "namespace", "return", "var", "void", "while":
		return false
	}
	return true
}

// names returns the names of the captures, in order.
func (t *template) names() []string {
	var names []string
	for _, part := range [][]segment{t.segments, t.back} {
		for _, s := range part {
			if s.capture != "" {
				names = append(names, s.capture)
			}
		}
	}
	return names
}

func (t *template) captures(name string) bool {
	for _, n := range t.names() {
		if n == name {
			return true
		}
	}
	return false
}

// value returns what the capture name is in a canonical path that the template fits, decoded.
func (t *template) value(name, path string) (string, bool) {
	rest, more := path[1:], true
	var part string
	for i := range t.segments {
		if part, rest, more = cutFirst(rest, more); t.segments[i].capture == name {
			return unescape(part), true
		}
	}
	for i := len(t.back) - 1; i >= 0; i-- {
		if part, rest, more = cutLast(rest, more); t.back[i].capture == name {
			return unescape(part), true
		}
	}
	return "", false
}

// fits reports whether the template fits a canonical path, segment by segment.
func (t *template) fits(path string) bool {
	rest, more := path[1:], true
	var part string
	for i := range t.segments {
		if !more {
			return false
		}
		if part, rest, more = cutFirst(rest, more); !t.segments[i].fits(part) {
			return false
		}
	}
	for i := len(t.back) - 1; i >= 0; i-- {
		if !more {
			return false
		}
		if part, rest, more = cutLast(rest, more); !t.back[i].fits(part) {
			return false
		}
	}
	return t.deep || !more
}

// cutFirst cuts the first segment off the rest of a path; more says that there is one.
func cutFirst(rest string, more bool) (part, after string, left bool) {
	if !more {
		return "", "", false
	}
	return strings.Cut(rest, "/")
}

// cutLast cuts the last segment off.
func cutLast(rest string, more bool) (part, before string, left bool) {
	if !more {
		return "", "", false
	}
	if i := strings.LastIndexByte(rest, '/'); i >= 0 {
		return rest[i+1:], rest[:i], true
	}
	return rest, "", false
}

// otherSlash returns the template with a final slash added, or taken away; nil where that makes no sense.
func (t *template) otherSlash() *template {
	out := *t
	last := &out.segments
	if t.deep {
		last = &out.back
	}
	n := len(*last)
	switch {
	case n == 0: // ends with **, which takes both
		return nil
	case !(*last)[n-1].final():
		*last = append((*last)[:n:n], segment{})
	case n == 1 && !t.deep: // the root
		return nil
	default:
		*last = (*last)[:n-1]
	}
	return &out
}

// final reports whether the segment is the empty one after a final slash.
func (s *segment) final() bool { return !s.any && s.pattern == nil && s.literal == "" }
