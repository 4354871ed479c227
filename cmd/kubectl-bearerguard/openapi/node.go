package openapi

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/output"
)

// RefusedError says why nothing is made of a document.
type RefusedError struct {
	File  string
	Line  int
	Field string // "components.securitySchemes.oidc"; may be empty
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

// node is a value of a file, and where it is. The zero node is one that is not there.
type node struct {
	file, path string
	yaml       *yaml.Node
}

// member is a field of a mapping.
type member struct {
	name  string
	value node
}

func parse(file string, data []byte) (node, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(output.JSONForYAML(data), &doc); err != nil {
		return node{}, &RefusedError{file, 1, "", "is neither YAML nor JSON: " + err.Error()}
	}
	if len(doc.Content) == 0 {
		return node{}, &RefusedError{file, 1, "", "is empty"}
	}
	return at(file, "", doc.Content[0]), nil
}

// at is a node; an alias is what it stands for.
func at(file, path string, y *yaml.Node) node {
	for y.Kind == yaml.AliasNode {
		y = y.Alias
	}
	return node{file, path, y}
}

func (n node) there() bool { return n.yaml != nil }

func (n node) line() int {
	if n.yaml == nil {
		return 0
	}
	return n.yaml.Line
}

func (n node) refuse(format string, args ...any) error {
	return &RefusedError{n.file, n.line(), n.path, fmt.Sprintf(format, args...)}
}

// members returns the fields of a mapping in their order. What could be read in two ways is refused: a field that comes twice, and "<<",
// which not every reader knows.
func (n node) members() ([]member, error) {
	if !n.there() {
		return nil, nil
	}
	if n.yaml.Kind != yaml.MappingNode {
		return nil, n.refuse("is no mapping")
	}
	seen := make(map[string]bool, len(n.yaml.Content)/2)
	out := make([]member, 0, len(n.yaml.Content)/2)
	for i := 0; i+1 < len(n.yaml.Content); i += 2 {
		key := at(n.file, n.path, n.yaml.Content[i])
		switch {
		case key.yaml.Kind != yaml.ScalarNode || key.yaml.Tag == "!!merge":
			return nil, key.refuse("has a field whose name is not plain text, or <<; write the fields out")
		case seen[key.yaml.Value]:
			return nil, key.refuse("%q is given twice", key.yaml.Value)
		}
		seen[key.yaml.Value] = true
		out = append(out, member{key.yaml.Value, at(n.file, join(n.path, key.yaml.Value), n.yaml.Content[i+1])})
	}
	return out, nil
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// field returns a field of a mapping, if it is there.
func (n node) field(name string) (node, error) {
	all, err := n.members()
	if err != nil {
		return node{}, err
	}
	for _, m := range all {
		if m.name == name {
			return m.value, nil
		}
	}
	return node{}, nil
}

// text returns a field that is a text; "" without one.
func (n node) text(name string) (string, error) {
	f, err := n.field(name)
	if err != nil || !f.there() {
		return "", err
	}
	return f.scalar()
}

func (n node) scalar() (string, error) {
	if n.yaml.Kind != yaml.ScalarNode || n.yaml.Tag == "!!null" {
		return "", n.refuse("is no text")
	}
	return n.yaml.Value, nil
}

// items returns the elements of a list.
func (n node) items() (out []node, err error) {
	if !n.there() {
		return nil, nil
	}
	if n.yaml.Kind != yaml.SequenceNode {
		return nil, n.refuse("is no list")
	}
	for i, y := range n.yaml.Content {
		out = append(out, at(n.file, fmt.Sprintf("%s[%d]", n.path, i), y))
	}
	return out, nil
}

// texts returns a list of texts.
func (n node) texts() (out []string, err error) {
	all, err := n.items()
	if err != nil {
		return nil, err
	}
	for _, item := range all {
		s, err := item.scalar()
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

// extension reports whether a field is none of OpenAPI's.
func extension(name string) bool { return strings.HasPrefix(name, "x-") }
