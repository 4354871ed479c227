package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

const valuesHead = `# Values of the chart

<!-- Written by "make generate" from charts/bearerguard/values.yaml and values.schema.json. Do not edit. -->

What ` + "`helm install bearerguard charts/bearerguard --set NAME=VALUE` takes, with the defaults. A name that is not here, and a value of another kind, is refused by helm." + `

| value | type | default | what it is |
|---|---|---|---|
`

// valueSchema is what is needed of a node of values.schema.json.
type valueSchema struct {
	Type        any                     `json:"type"`
	Enum        []any                   `json:"enum"`
	Description string                  `json:"description"`
	Properties  map[string]*valueSchema `json:"properties"`
}

// kind says in words what a value may be.
func (s *valueSchema) kind() string {
	switch t := s.Type.(type) {
	case string:
		return t
	case []any:
		return strings.ReplaceAll(strings.Trim(fmt.Sprint(t), "[]"), " ", " or ")
	}
	var names []string
	for _, e := range s.Enum {
		names = append(names, fmt.Sprintf("`%v`", e))
	}
	return strings.Join(names, ", ")
}

// valuesPage writes docs/values.md.
func valuesPage(root string) (string, error) {
	chart := filepath.Join(root, "charts", "bearerguard")
	text, err := os.ReadFile(filepath.Join(chart, "values.yaml")) //nolint:gosec // a file of the repository
	if err != nil {
		return "", err
	}
	var values yaml.Node
	if err := yaml.Unmarshal(text, &values); err != nil {
		return "", err
	}
	text, err = os.ReadFile(filepath.Join(chart, "values.schema.json")) //nolint:gosec // a file of the repository
	if err != nil {
		return "", err
	}
	var schema valueSchema
	if err := json.Unmarshal(text, &schema); err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString(valuesHead)
	if err := writeValues(&b, values.Content[0], &schema, ""); err != nil {
		return "", err
	}
	return b.String(), nil
}

// writeValues writes a row for each member of a mapping, and for those of its members.
func writeValues(b *strings.Builder, mapping *yaml.Node, schema *valueSchema, prefix string) error {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		key, value := mapping.Content[i], mapping.Content[i+1]
		name := prefix + key.Value
		s := schema.Properties[key.Value]
		if s == nil {
			return fmt.Errorf("value %s is not in values.schema.json", name)
		}
		about := said(key, value, s)
		if value.Kind == yaml.MappingNode && len(value.Content) > 0 && len(s.Properties) > 0 {
			fmt.Fprintf(b, "| **`%s`** | | | %s |\n", name, cell(about))
			if err := writeValues(b, value, s, name+"."); err != nil {
				return err
			}
			continue
		}
		var v any
		if err := value.Decode(&v); err != nil {
			return err
		}
		def, err := json.Marshal(v)
		if err != nil {
			return err
		}
		fmt.Fprintf(b, "| `%s` | %s | `%s` | %s |\n", name, s.kind(), def, cell(about))
	}
	return nil
}

// said is what the comments say of a value; what the schema says, where they say nothing.
func said(key, value *yaml.Node, s *valueSchema) string {
	var lines []string
	for _, comment := range []string{key.HeadComment, key.LineComment, value.LineComment} {
		for line := range strings.Lines(comment) {
			if line = strings.TrimSpace(strings.TrimLeft(line, "# ")); line != "" {
				lines = append(lines, line)
			}
		}
	}
	if len(lines) == 0 {
		return s.Description
	}
	return strings.Join(lines, " ")
}

// cell makes a text fit for a cell of a table.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "<", `\<`, "*", `\*`).Replace(strings.Join(strings.Fields(text), " "))
}
