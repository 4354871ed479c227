package ruleset

import (
	"errors"
	"fmt"
	"strings"

	"github.com/bearerguard/bearerguard/api/decision"
)

// Path is a path with variable segments. The zero Path is the root.
type Path struct {
	segments []segment
	// wider says that the path as it was meant fits less: it only serves to be cut out of others.
	wider bool
}

// segment is a text, or a variable with what stands before and after it.
type segment struct {
	variable      bool
	name          string // of the variable, as it was given
	text          string // canonical; without a variable
	before, after string // canonical
}

// ParsePath reads a path in which {name} is a variable of one character or more, none of which is a slash. Where that cannot be said with
// the path templates of a policy, the error says why, and the Path fits at least what it should: it can only be cut out of others.
func ParsePath(s string) (Path, error) {
	if !strings.HasPrefix(s, "/") {
		return Path{wider: true}, errors.New("does not begin with a slash")
	}
	var p Path
	var problem error
	if i := strings.IndexAny(s, "?#"); i >= 0 {
		s, problem = s[:i], errors.New("has a query or a fragment, which is no part of a path")
	}
	parts := strings.Split(s[1:], "/")
	for i, part := range parts {
		g, err := parseSegment(part)
		if err == nil && part == "" && i < len(parts)-1 {
			err = errors.New("has an empty segment; requests are matched with slashes merged")
		}
		if err != nil {
			problem = err
			if part == "" {
				continue
			}
		}
		p.segments = append(p.segments, g)
	}
	p.wider = problem != nil
	return p, problem
}

// parseSegment returns a segment that fits too much with each error.
func parseSegment(s string) (segment, error) {
	open := strings.IndexByte(s, '{')
	if open < 0 && !strings.Contains(s, "}") {
		text, err := canonical(s)
		if err != nil {
			return segment{variable: true}, err
		}
		return segment{text: text}, nil
	}
	end := strings.IndexByte(s, '}')
	if open < 0 || end < open+2 || strings.ContainsAny(s[end+1:], "{}") || strings.Contains(s[open+1:end], "{") {
		return segment{variable: true}, fmt.Errorf("has %q, and a path template has one variable in a segment", s)
	}
	before, errBefore := canonical(s[:open])
	after, errAfter := canonical(s[end+1:])
	if err := errors.Join(errBefore, errAfter); err != nil {
		return segment{variable: true}, err
	}
	return segment{variable: true, name: s[open+1 : end], before: before, after: after}, nil
}

// canonical returns text of a segment as rules see it in a path.
func canonical(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	if s == "." || s == ".." {
		return "", errors.New("has a dot segment")
	}
	p, err := decision.ReadPath("/"+s, decision.PathOptions{})
	if err != nil {
		return "", fmt.Errorf("no request has it: %w", err)
	}
	return p.Match[1:], nil
}

// Text is a path of canonical texts alone: what decision.ReadPath has under Match.
func Text(match string) Path {
	var p Path
	for part := range strings.SplitSeq(strings.TrimPrefix(match, "/"), "/") {
		p.segments = append(p.segments, segment{text: part})
	}
	return p
}

// Vary makes the segments variable for which the name is not empty.
func (p Path) Vary(names []string) Path {
	out := Path{wider: p.wider}
	for i, g := range p.segments {
		if i < len(names) && names[i] != "" {
			g = segment{variable: true, name: names[i]}
		}
		out.segments = append(out.segments, g)
	}
	return out
}

// Template is the path template of a policy; with names, variables are captured where their names can be used.
func (p Path) Template(names bool) string {
	var b strings.Builder
	used := map[string]bool{}
	for _, g := range p.segments {
		b.WriteByte('/')
		switch name := captureName(g.name); {
		case !g.variable:
			b.WriteString(escape(g.text))
		case g.before+g.after != "":
			b.WriteString(escape(g.before) + "*" + escape(g.after))
		case names && name != "" && !used[name]:
			used[name] = true
			b.WriteString("{" + name + "}")
		default:
			b.WriteByte('*')
		}
	}
	return b.String()
}

var escapes = strings.NewReplacer("*", "%2A", "{", "%7B", "}", "%7D", "?", "%3F", "#", "%23")

// escape writes canonical text so that a template has it as a text.
func escape(s string) string { return escapes.Replace(s) }

// reserved cannot be used as path.NAME in CEL.
const reserved = " true false null in as break const continue else for function if import let loop package namespace return var void while "

// captureName makes a name of a capture of a variable's; "" if there is none.
func captureName(s string) string {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' {
			return r
		}
		return '_'
	}, s)
	if name == "" || len(name) > 64 || name[0] >= '0' && name[0] <= '9' || strings.Contains(reserved, " "+name+" ") {
		return ""
	}
	return name
}

// blanks are the paths that the template fits and the path does not: those in which nothing stands for a variable with text beside it.
func (p Path) blanks() (out []string) {
	for i, g := range p.segments {
		if !g.variable || g.before+g.after == "" {
			continue
		}
		q := Path{segments: append([]segment{}, p.segments...)}
		q.segments[i] = segment{text: g.before + g.after}
		out = append(out, q.Template(false))
	}
	return out
}

// concrete reports whether there are no variables.
func (p Path) concrete() bool {
	for _, g := range p.segments {
		if g.variable {
			return false
		}
	}
	return true
}

// overlaps reports whether some path may fit both; where that is hard to say, it says so.
func (p Path) overlaps(q Path) bool {
	if len(p.segments) != len(q.segments) {
		return false
	}
	for i := range p.segments {
		if !p.segments[i].overlaps(q.segments[i]) {
			return false
		}
	}
	return true
}

func (g segment) overlaps(h segment) bool {
	switch {
	case !g.variable && !h.variable:
		return g.text == h.text
	case !g.variable:
		return h.fits(g.text)
	case !h.variable:
		return g.fits(h.text)
	}
	return (strings.HasPrefix(g.before, h.before) || strings.HasPrefix(h.before, g.before)) &&
		(strings.HasSuffix(g.after, h.after) || strings.HasSuffix(h.after, g.after))
}

// fits reports whether a variable segment fits a text.
func (g segment) fits(text string) bool {
	return len(text) > len(g.before)+len(g.after) && strings.HasPrefix(text, g.before) && strings.HasSuffix(text, g.after)
}

// within reports whether every path that fits p fits q.
func (p Path) within(q Path) bool {
	if len(p.segments) != len(q.segments) || p.wider {
		return false
	}
	for i := range p.segments {
		if !p.segments[i].within(q.segments[i]) {
			return false
		}
	}
	return true
}

func (g segment) within(h segment) bool {
	switch {
	case !h.variable:
		return !g.variable && g.text == h.text
	case !g.variable:
		whole := h.before+h.after == "" || !strings.Contains(h.before+h.after+g.text, "%") // an escape is one character
		return h.fits(g.text) && whole
	}
	return strings.HasPrefix(g.before, h.before) && strings.HasSuffix(g.after, h.after)
}

// before reports whether p counts alone where q fits too: it says more, beyond doubt.
func (p Path) before(q Path) bool {
	if q.wider {
		return p.concrete() && !p.wider
	}
	return p.within(q) && !q.within(p)
}
