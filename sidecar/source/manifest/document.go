package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"

	"go.yaml.in/yaml/v3"
)

// Document is a file that is one value, and where each field of it is written.
type Document struct {
	file string
	root *yaml.Node
}

// Decode reads a file that is one YAML document into what v points to, by its JSON names and as strictly as objects are read:
// a field that is unknown, doubled, null or of the wrong kind is an *Error. A yaml.Unmarshaler reads its own node.
func Decode(f File, v any) (*Document, error) {
	if len(f.Data) > MaxFile {
		return nil, &Error{File: f.Name, Problem: fmt.Sprintf("is larger than %d bytes", MaxFile)}
	}
	stream := yaml.NewDecoder(bytes.NewReader(f.Data))
	var doc, more yaml.Node
	switch err := stream.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, &Error{File: f.Name, Problem: "is empty"}
	case err != nil:
		return nil, syntaxError(f.Name, err)
	}
	if err := stream.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, &Error{File: f.Name, Line: more.Line, Problem: "has another document; want one alone"}
	}
	d := &decoder{file: f.Name, most: maxVisits}
	root := doc.Content[0]
	return &Document{f.Name, root}, d.decode(root, reflect.ValueOf(v).Elem(), "", 0)
}

// Error says what is wrong with the field at path, or with the nearest thing above it that is written down.
func (d *Document) Error(path, problem string) error {
	return &Error{File: d.file, Line: lineOf(d.root, path), Path: path, Problem: problem}
}

// Line is where the field at path is written, or the nearest thing above it.
func (d *Document) Line(path string) int { return lineOf(d.root, path) }
