package convert

import (
	"errors"
	"strings"
)

var errPath = errors.New("has characters or segments that are compared in another form")

// pathTemplates says a path of Istio's as templates. With over they may fit more than it does, else only less.
func pathTemplates(s string, over bool) ([]string, error) {
	v := parseValue(s)
	template := strings.Contains(s, "{*}") || strings.Contains(s, "{**}")
	switch {
	case template:
		return uriTemplate(s, over)
	case v.kind == exact && !strings.HasPrefix(s, "/"), v.kind == prefix && !strings.HasPrefix(s, "/"):
		return nil, errNever
	case v.kind == suffix && strings.HasSuffix(v.text, "/"):
		return odd("/", over)
	case !plainPath(v.text):
		return odd(v.text, over)
	}
	switch v.kind {
	case prefix:
		if strings.HasSuffix(v.text, "/") {
			return below(strings.TrimSuffix(v.text, "/"), over), nil
		}
		return []string{v.text + "*/**"}, nil
	case suffix:
		if strings.HasPrefix(v.text, "/") {
			return []string{"/**" + v.text}, nil
		}
		return []string{"/**/*" + v.text}, nil
	case anything:
		return []string{"/**"}, nil
	case exact:
	}
	return []string{v.text}, nil
}

// below is all that begins with dir and a slash.
func below(dir string, over bool) []string {
	if over || dir == "" {
		return []string{dir + "/**"}
	}
	return []string{dir + "/", dir + "/*/**"}
}

// odd is what cannot be said: everything below the last directory that can.
func odd(s string, over bool) ([]string, error) {
	if !over || !strings.HasPrefix(s, "/") {
		return nil, errPath
	}
	segments := strings.Split(s[1:], "/")
	dir := ""
	for _, segment := range segments[:len(segments)-1] {
		if segment == "" || !plainPath("/"+segment) {
			break
		}
		dir += "/" + segment
	}
	return []string{dir + "/**"}, nil
}

// uriTemplate says a template of Istio's. Its {**} stands for one segment at least, or at the end for what follows a slash.
func uriTemplate(s string, over bool) ([]string, error) {
	if !strings.HasPrefix(s, "/") {
		return nil, errNever
	}
	segments := strings.Split(s[1:], "/")
	dir := ""
	for i, segment := range segments {
		switch {
		case segment == "{*}":
			dir += "/{*}"
		case segment == "{**}" && i == len(segments)-1:
			return below(dir, over), nil
		case segment == "{**}" && over:
			dir += "/**"
		case segment == "{**}":
			dir += "/*/**"
		case segment != "" && plainPath("/"+segment), segment == "" && i == len(segments)-1:
			dir += "/" + segment
		default:
			return odd(s, over)
		}
	}
	if strings.Count(dir, "**") > 1 {
		return odd(s, over)
	}
	return []string{dir}, nil
}

// plainPath reports whether a path, or a piece of one, stands for itself in a template: no escapes, stars or braces, no segment that is
// empty or made of dots.
func plainPath(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && strings.IndexByte("/-._~!$&'()+,=:@", c) < 0 {
			return false
		}
	}
	for segment := range strings.SplitSeq(s, "/") {
		if segment == "." || segment == ".." {
			return false
		}
	}
	return !strings.Contains(s, "//")
}
