package manifest

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxDepth bounds nesting, maxVisits the nodes looked at in one file, aliases unfolded, so that a few bytes of YAML
// cannot keep a sidecar busy.
const (
	maxDepth  = 64
	maxVisits = 4_000_000
)

// decoder writes YAML nodes into Go values by their JSON names, strictly: a member that is unknown, doubled, null or of
// the wrong kind is an error that names the file, the line and the path.
type decoder struct {
	file   string
	visits int // nodes looked at
	most   int // nodes that may be

	skipSources bool
}

// errorAt makes a *Error for a node.
func (d *decoder) errorAt(n *yaml.Node, path, format string, args ...any) error {
	return &Error{File: d.file, Line: n.Line, Path: path, Problem: fmt.Sprintf(format, args...)}
}

// enter follows an alias and bounds the work.
func (d *decoder) enter(n *yaml.Node, path string, depth int) (*yaml.Node, error) {
	if d.visits++; d.visits > d.most {
		return nil, d.errorAt(n, path, "is too large; want at most %d values in a file", d.most)
	}
	if depth > maxDepth {
		return nil, d.errorAt(n, path, "is nested too deep; want at most %d levels", maxDepth)
	}
	if n.Kind == yaml.AliasNode {
		return n.Alias, nil
	}
	return n, nil
}

// decode sets v, which must be settable, from n.
func (d *decoder) decode(n *yaml.Node, v reflect.Value, path string, depth int) error {
	n, err := d.enter(n, path, depth)
	if err != nil {
		return err
	}
	if v.Type() == reflect.TypeFor[ignored]() {
		return nil
	}
	if n.Tag == "!!null" {
		return d.errorAt(n, path, "is null; want a value, or leave the field out")
	}
	if u, ok := v.Addr().Interface().(yaml.Unmarshaler); ok {
		if err := u.UnmarshalYAML(n); err != nil {
			return d.errorAt(n, path, "%s", err)
		}
		return nil
	}
	if u, ok := v.Addr().Interface().(json.Unmarshaler); ok {
		return d.decodeWith(n, u, path)
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return d.decode(n, v.Elem(), path, depth)
	case reflect.Struct:
		return d.decodeStruct(n, v, path, depth)
	case reflect.Map:
		return d.decodeMap(n, v, path, depth)
	case reflect.Slice:
		return d.decodeSlice(n, v, path, depth)
	default:
		return d.decodeScalar(n, v, path)
	}
}

func (d *decoder) decodeWith(n *yaml.Node, u json.Unmarshaler, path string) error {
	if n.Kind != yaml.ScalarNode {
		return d.errorAt(n, path, "is %s; want a single value", kindOf(n))
	}
	text, err := json.Marshal(n.Value)
	if err != nil {
		return d.errorAt(n, path, "is not text")
	}
	if err := u.UnmarshalJSON(text); err != nil {
		return d.errorAt(n, path, "%s", err)
	}
	return nil
}

// members calls f with each member of a mapping.
func (d *decoder) members(n *yaml.Node, path string, f func(key, value *yaml.Node, path string) error) error {
	if n.Kind != yaml.MappingNode {
		return d.errorAt(n, path, "is %s; want an object", kindOf(n))
	}
	seen := make(map[string]bool, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if key.Kind != yaml.ScalarNode || key.Tag == "!!merge" {
			return d.errorAt(key, path, "has a member whose name is not plain text; want a string")
		}
		at := join(path, key.Value)
		if seen[key.Value] {
			return d.errorAt(key, at, "is given twice")
		}
		seen[key.Value] = true
		if err := f(key, n.Content[i+1], at); err != nil {
			return err
		}
	}
	return nil
}

func (d *decoder) decodeStruct(n *yaml.Node, v reflect.Value, path string, depth int) error {
	fields := map[string]reflect.Value{}
	collect(v, fields)
	return d.members(n, path, func(key, value *yaml.Node, at string) error {
		field, known := fields[key.Value]
		if !known {
			return d.errorAt(key, at, "is not a known field; want one of %s",
				strings.Join(slices.Sorted(maps.Keys(fields)), ", "))
		}
		return d.decode(value, field, at, depth+1)
	})
}

// collect finds the fields of a struct by their JSON names, those of embedded structs without a name included.
func collect(v reflect.Value, into map[string]reflect.Value) {
	for field := range v.Type().Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case field.Anonymous && name == "":
			collect(v.FieldByIndex(field.Index), into)
		case name == "-" || !field.IsExported():
		case name != "":
			into[name] = v.FieldByIndex(field.Index)
		}
	}
}

func (d *decoder) decodeMap(n *yaml.Node, v reflect.Value, path string, depth int) error {
	v.Set(reflect.MakeMap(v.Type()))
	return d.members(n, path, func(key, value *yaml.Node, at string) error {
		element := reflect.New(v.Type().Elem()).Elem()
		if err := d.decode(value, element, at, depth+1); err != nil {
			return err
		}
		v.SetMapIndex(reflect.ValueOf(key.Value), element)
		return nil
	})
}

func (d *decoder) decodeSlice(n *yaml.Node, v reflect.Value, path string, depth int) error {
	if n.Kind != yaml.SequenceNode {
		return d.errorAt(n, path, "is %s; want a list", kindOf(n))
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
	for i, element := range n.Content {
		if err := d.decode(element, v.Index(i), fmt.Sprintf("%s[%d]", path, i), depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (d *decoder) decodeScalar(n *yaml.Node, v reflect.Value, path string) error {
	switch v.Kind() {
	case reflect.String:
		if n.Kind != yaml.ScalarNode || n.Tag != "!!str" && n.Tag != "!!timestamp" {
			return d.errorAt(n, path, "is %s; want a string (put it in quotes)", kindOf(n))
		}
		v.SetString(n.Value)
	case reflect.Bool:
		var b bool
		if n.Tag != "!!bool" || n.Decode(&b) != nil {
			return d.errorAt(n, path, "is %s; want true or false", kindOf(n))
		}
		v.SetBool(b)
	case reflect.Int, reflect.Int32, reflect.Int64:
		var i int64
		if n.Tag != "!!int" || n.Decode(&i) != nil || v.OverflowInt(i) {
			return d.errorAt(n, path, "is %s; want a whole number", kindOf(n))
		}
		v.SetInt(i)
	default:
		return d.errorAt(n, path, "cannot be given in a file")
	}
	return nil
}

// ignored takes any value and keeps nothing of it.
type ignored struct{}

// kindOf names what a node is, for an error.
func kindOf(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "an object"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Tag == "!!int" || n.Tag == "!!float":
		return "a number"
	case n.Tag == "!!bool":
		return "a boolean"
	case n.Tag == "!!null":
		return "null"
	case n.Tag == "!!str":
		return "a string"
	}
	return "a value of another type"
}

// join appends a member's name to a field path.
func join(path, name string) string {
	if strings.ContainsAny(name, ".[] ") {
		return fmt.Sprintf("%s[%q]", path, name)
	}
	if path == "" {
		return name
	}
	return path + "." + name
}
