package convert

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/output"
)

// node is a value of a source file, and where it is. A nil node is one that is not there.
type node struct {
	notes  *[]Note
	file   string
	object string
	path   string
	yaml   *yaml.Node
	taken  []string // members that were asked for
}

// RefusedError says why nothing at all is converted.
type RefusedError struct {
	File  string
	Line  int
	Field string
	Why   string
}

// Error names the line.
func (e *RefusedError) Error() string {
	field := e.Field
	if field != "" {
		field += ": "
	}
	return fmt.Sprintf("%s:%d: %s%s", e.File, e.Line, field, e.Why)
}

func (n *node) refuse(format string, args ...any) error {
	return &RefusedError{n.file, n.line(), n.path, fmt.Sprintf(format, args...)}
}

func (n *node) line() int {
	if n == nil || n.yaml == nil {
		return 0
	}
	return n.yaml.Line
}

func (n *node) is(kind yaml.Kind) bool { return n.yaml.Kind == kind }

func (n *node) note(e Effect, format string, args ...any) {
	if n == nil {
		return
	}
	*n.notes = append(*n.notes, Note{n.file, n.line(), n.object, n.path, e, fmt.Sprintf(format, args...)})
}

// documents reads the objects of a file, those of lists included.
func documents(f File, notes *[]Note) (out []*node, err error) {
	d := yaml.NewDecoder(bytes.NewReader(output.JSONForYAML(f.Data)))
	for {
		var doc yaml.Node
		if err := d.Decode(&doc); errors.Is(err, io.EOF) {
			return out, nil
		} else if err != nil {
			return nil, &RefusedError{f.Name, 1, "", "is not YAML: " + err.Error()}
		}
		if doc.Kind != yaml.DocumentNode || len(doc.Content) == 0 || doc.Content[0].Tag == "!!null" {
			continue
		}
		n := &node{notes: notes, file: f.Name, yaml: doc.Content[0]}
		if err := n.plain(doc.Content[0], 0); err != nil {
			return nil, err
		}
		if items := n.field("items"); items != nil {
			for _, item := range items.items() {
				item.path = ""
				out = append(out, item)
			}
			continue
		}
		out = append(out, n)
	}
}

const maxDepth = 64

// plain refuses what could be read in two ways, or costs more than its bytes: aliases, merges, members that come twice.
func (n *node) plain(y *yaml.Node, depth int) error {
	at := &node{file: n.file, yaml: y}
	switch {
	case depth > maxDepth:
		return at.refuse("is nested too deep; want at most %d levels", maxDepth)
	case y.Kind == yaml.AliasNode || y.Anchor != "":
		return at.refuse("anchors and aliases are not read; write the value out")
	}
	seen := map[string]bool{}
	for i, child := range y.Content {
		if y.Kind == yaml.MappingNode && i%2 == 0 {
			switch {
			case child.Kind != yaml.ScalarNode || child.Tag == "!!merge":
				return at.refuse("has a member whose name is not plain text")
			case seen[child.Value]:
				at.yaml = child
				return at.refuse("%q is given twice", child.Value)
			}
			seen[child.Value] = true
		}
		if err := n.plain(child, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// child makes a node below n.
func (n *node) child(y *yaml.Node, path string) *node {
	return &node{notes: n.notes, file: n.file, object: n.object, path: path, yaml: y}
}

// field returns a member, or nil if it is missing or null.
func (n *node) field(name string) *node {
	if n == nil || !n.is(yaml.MappingNode) {
		return nil
	}
	n.taken = append(n.taken, name)
	for i := 0; i+1 < len(n.yaml.Content); i += 2 {
		if n.yaml.Content[i].Value == name && n.yaml.Content[i+1].Tag != "!!null" {
			path := name
			if n.path != "" {
				path = n.path + "." + name
			}
			return n.child(n.yaml.Content[i+1], path)
		}
	}
	return nil
}

// rest notes the members that nobody asked for.
func (n *node) rest() {
	if n == nil || !n.is(yaml.MappingNode) {
		return
	}
	for i := 0; i+1 < len(n.yaml.Content); i += 2 {
		if name := n.yaml.Content[i].Value; !slices.Contains(n.taken, name) {
			member := n.field(name)
			member.note(LeftOut, "is not known here")
		}
	}
}

// unknown reports whether a mapping has members that nobody asked for, or n is no mapping.
func (n *node) unknown() bool {
	if n == nil {
		return false
	}
	if !n.is(yaml.MappingNode) {
		return true
	}
	for i := 0; i+1 < len(n.yaml.Content); i += 2 {
		if !slices.Contains(n.taken, n.yaml.Content[i].Value) && n.yaml.Content[i+1].Tag != "!!null" {
			return true
		}
	}
	return false
}

// items returns the elements of a list.
func (n *node) items() (out []*node) {
	if n == nil || !n.is(yaml.SequenceNode) {
		return nil
	}
	for i, y := range n.yaml.Content {
		out = append(out, n.child(y, fmt.Sprintf("%s[%d]", n.path, i)))
	}
	return out
}

// text returns the value of a scalar; "" if n is none.
func (n *node) text() string {
	if n == nil || !n.is(yaml.ScalarNode) {
		return ""
	}
	return n.yaml.Value
}

// pairs returns a mapping of texts.
func (n *node) pairs() map[string]string {
	out := map[string]string{}
	if n == nil || !n.is(yaml.MappingNode) {
		return out
	}
	for i := 0; i+1 < len(n.yaml.Content); i += 2 {
		out[n.yaml.Content[i].Value] = n.yaml.Content[i+1].Value
	}
	return out
}
