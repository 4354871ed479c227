package decision

import (
	"fmt"
	"strings"

	"github.com/bearerguard/bearerguard/api/policy"
)

const maxTemplateSegments = 64

// template is a parsed path template: literal segments, {name} and * for one segment, a final ** for the rest.
type template struct {
	segments []segment
	tail     bool // ends with **
}

// segment is one segment of a template, other than **.
type segment struct {
	literal string // canonical
	capture string // name of a {name}
	any     bool   // {name} or *
}

// templateError is what is wrong with a template, and what is expected.
type templateError struct {
	problem, want string
}

// parseTemplate reads a path template. Literal segments are brought to the form that CanonicalPath gives to requests.
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
	t := &template{}
	for i, part := range parts {
		last := i == len(parts)-1
		if part == "**" && last {
			t.tail = true
			return t, nil
		}
		s, err := parseTemplateSegment(part, last, slash)
		if err != nil {
			return nil, err
		}
		if s.capture != "" && t.captures(s.capture) {
			return nil, &templateError{fmt.Sprintf("captures {%s} twice", s.capture), "one capture a name"}
		}
		t.segments = append(t.segments, s)
	}
	return t, nil
}

func parseTemplateSegment(part string, last bool, slash policy.EncodedSlash) (segment, *templateError) {
	switch {
	case part == "" && !last:
		return segment{}, &templateError{"has an empty segment", "single slashes; requests are matched with slashes merged"}
	case part == "*":
		return segment{any: true}, nil
	case part == "**":
		return segment{}, &templateError{"has ** before the end", "** as the last segment only"}
	case strings.HasPrefix(part, "{") && strings.HasSuffix(part, "}"):
		name := part[1 : len(part)-1]
		if !captureName(name) {
			return segment{}, &templateError{
				fmt.Sprintf("captures %q", name),
				"a name of letters, digits and _ that does not start with a digit and is no reserved word of CEL"}
		}
		return segment{any: true, capture: name}, nil
	case strings.ContainsAny(part, "*{}"):
		return segment{}, &templateError{
			"has *, { or } as a part of a segment",
			"*, ** or {name} as a whole segment; literal ones are written %2A, %7B, %7D"}
	case strings.ContainsAny(part, "?#"):
		return segment{}, &templateError{"has a raw ? or #", "a path without query or fragment; literal ones are written %3F, %23"}
	}
	canonical, err := CanonicalPath("/"+part, slash)
	if err != nil {
		return segment{}, &templateError{err.Error(), "a path that a request can have"}
	}
	if canonical == "/" && part != "" || part == ".." {
		return segment{}, &templateError{"has a dot segment", "a path without . and .. segments"}
	}
	return segment{literal: canonical[1:]}, nil
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

func (t *template) captures(name string) bool {
	for _, s := range t.segments {
		if s.capture == name {
			return true
		}
	}
	return false
}

// value returns what the capture name is in a canonical path that the template fits, decoded.
func (t *template) value(name, path string) (string, bool) {
	rest := strings.TrimPrefix(path, "/")
	for _, s := range t.segments {
		head, tail, _ := strings.Cut(rest, "/")
		if s.capture == name {
			return unescape(head), true
		}
		rest = tail
	}
	return "", false
}

// fits reports whether the template fits a canonical path, segment by segment.
func (t *template) fits(path string) bool {
	rest, more := path[1:], true
	for _, s := range t.segments {
		if !more {
			return false
		}
		var head string
		head, rest, more = strings.Cut(rest, "/")
		if s.any && head == "" || !s.any && head != s.literal {
			return false
		}
	}
	return t.tail || !more
}

// otherSlash returns the template with a final slash added, or taken away; nil where that makes no sense.
func (t *template) otherSlash() *template {
	n := len(t.segments)
	if t.tail || n == 0 {
		return nil
	}
	if last := t.segments[n-1]; last.any || last.literal != "" {
		return &template{segments: append(t.segments[:n:n], segment{})}
	}
	if n == 1 {
		return nil
	}
	return &template{segments: t.segments[:n-1]}
}
