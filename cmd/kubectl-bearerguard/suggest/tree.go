package suggest

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Options bound how much broader than what was seen the rules may be.
type Options struct {
	// Numbers is how many different numbers, or texts with a number, make their segment variable. Default 2; negative: never.
	Numbers int
	// Identifiers is the same of UUIDs, hashes and other long random texts. Default 1; negative: never.
	Identifiers int
	// Words is the same of any other texts, below which the same follows. Default 50; negative: never.
	Words int
	// IgnoredScopes are those that no rule asks for. Default: those of OpenID Connect, which say nothing of the app.
	IgnoredScopes []string
	// Least is how often a method has to have been seen at a path. Default 1.
	Least int
	// Alternatives is how many different lists of scopes, none of which has the same in common, become a rule each. Default 4.
	Alternatives int
}

func (o Options) withDefaults() Options {
	o.Numbers, o.Identifiers, o.Words = cmp.Or(o.Numbers, 2), cmp.Or(o.Identifiers, 1), cmp.Or(o.Words, 50)
	o.Least, o.Alternatives = cmp.Or(o.Least, 1), cmp.Or(o.Alternatives, 4)
	if o.IgnoredScopes == nil {
		o.IgnoredScopes = []string{"openid", "profile", "email", "address", "phone", "offline_access"}
	}
	return o
}

// tree is a segment of paths, and what follows it.
type tree struct {
	variable bool
	values   int // that a variable stands for
	example  []string
	children map[string]*tree
	calls    []call // that end here
}

// variableKey is under what a variable segment is kept: no segment has a slash.
const variableKey = "/"

func newTree() *tree { return &tree{children: map[string]*tree{}} }

func (t *tree) insert(c call) {
	for segment := range strings.SplitSeq(c.path[1:], "/") {
		next := t.children[segment]
		if next == nil {
			next = newTree()
			t.children[segment] = next
		}
		t = next
	}
	t.calls = append(t.calls, c)
}

// kind of a segment's text.
type kind uint8

const (
	word kind = iota
	number
	identifier
)

var (
	identifiers = regexp.MustCompile(`^([0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9a-fA-F]{16,}|[0-9A-HJKMNP-TV-Z]{26})$`)
	numbers     = regexp.MustCompile(`^([0-9]+|[0-9]{4}-[0-9]{2}(-[0-9]{2})?|[A-Za-z]+[-_][0-9][-_0-9]*|[a-z]{2,8}_[0-9A-Za-z]{8,}|[^@]+@[^@]+\.[^@]+)$`)
	long        = regexp.MustCompile(`^[0-9A-Za-z_-]{20,}$`)
)

// kindOf tells what is probably made by a program from what a person wrote.
func kindOf(s string) kind {
	digits := strings.Count(strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return '0'
		}
		return -1
	}, s), "0")
	switch {
	case identifiers.MatchString(s) && digits > 0:
		return identifier
	case long.MatchString(s) && digits > 1 && strings.ToLower(s) != s && strings.ToUpper(s) != s:
		return identifier
	case numbers.MatchString(s) && digits > 0:
		return number
	}
	return word
}

// generalise makes segments variable.
func (t *tree) generalise(o *Options) {
	var identified, numbered []string
	for _, s := range slices.Sorted(maps.Keys(t.children)) {
		switch kindOf(s) {
		case identifier:
			identified = append(identified, s)
		case number:
			numbered = append(numbered, s)
		case word:
		}
	}
	var variable []string
	if o.Identifiers > 0 && len(identified) >= o.Identifiers {
		variable = identified
	}
	if o.Numbers > 0 && len(numbered) > 0 && len(numbered)+len(variable) >= o.Numbers {
		variable = append(variable, numbered...)
	}
	t.vary(variable)
	for _, s := range slices.Sorted(maps.Keys(t.children)) {
		t.children[s].generalise(o)
	}
	if o.Words >= 0 {
		t.join(o)
	}
}

// join makes one variable of words whose rests are alike, where there are enough of them.
func (t *tree) join(o *Options) {
	alike := map[string][]string{}
	for _, s := range slices.Sorted(maps.Keys(t.children)) {
		if !t.children[s].variable && s != "" {
			shape := t.children[s].shape()
			alike[shape] = append(alike[shape], s)
		}
	}
	for _, shape := range slices.Sorted(maps.Keys(alike)) {
		if all := alike[shape]; len(all) >= o.Words {
			t.vary(all)
			t.children[variableKey].generalise(o)
		}
	}
}

// vary makes one variable of children.
func (t *tree) vary(names []string) {
	if len(names) == 0 {
		return
	}
	v := t.children[variableKey]
	if v == nil {
		v = newTree()
		v.variable = true
		t.children[variableKey] = v
	}
	for _, name := range names {
		v.values++
		if len(v.example) < 3 {
			v.example = append(v.example, name)
		}
		v.merge(t.children[name])
		delete(t.children, name)
	}
}

func (t *tree) merge(o *tree) {
	t.calls = append(t.calls, o.calls...)
	for name, child := range o.children {
		if own := t.children[name]; own != nil {
			own.merge(child)
			own.values += child.values
			own.example = append(own.example, child.example...)
			own.example = own.example[:min(3, len(own.example))]
			continue
		}
		t.children[name] = child
	}
}

// shape is what may follow a segment: the same for segments that only differ in their text.
func (t *tree) shape() string {
	var parts []string
	for _, c := range t.calls {
		parts = append(parts, fmt.Sprintf("%s %d", c.method, c.port))
	}
	slices.Sort(parts)
	parts = slices.Compact(parts)
	for _, name := range slices.Sorted(maps.Keys(t.children)) {
		parts = append(parts, name+"("+t.children[name].shape()+")")
	}
	return strings.Join(parts, ",")
}

// place is a path, with the names of its variables, and what was seen there.
type place struct {
	path  string
	names []string
	calls []call
}

// places returns the paths that end at or below t.
func (t *tree) places(path string, names []string) (out []place) {
	if len(t.calls) > 0 {
		out = append(out, place{path, slices.Clone(names), t.calls})
	}
	variables := 0
	for _, n := range names {
		if n != "" {
			variables++
		}
	}
	for _, s := range slices.Sorted(maps.Keys(t.children)) {
		child, name, text := t.children[s], "", s
		if child.variable {
			text, name = "x", "id"
			if variables > 0 {
				name = fmt.Sprintf("id%d", variables+1)
			}
		}
		out = append(out, child.places(path+"/"+text, append(slices.Clone(names), name))...)
	}
	return out
}
