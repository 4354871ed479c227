package suite

import (
	"encoding/json"
	"fmt"

	"go.yaml.in/yaml/v3"
)

// Value is any object of YAML, as JSON. Numbers stay numbers, and what looks like a date is text.
type Value struct{ JSON []byte }

// UnmarshalYAML implements yaml.Unmarshaler.
func (v *Value) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind != yaml.MappingNode {
		return fmt.Errorf("is no object; want names and values")
	}
	plain, err := plainOf(n, 0)
	if err != nil {
		return err
	}
	v.JSON, err = json.Marshal(plain)
	return err
}

// deepest bounds nesting.
const deepest = 32

func plainOf(n *yaml.Node, depth int) (any, error) {
	if depth > deepest {
		return nil, fmt.Errorf("is nested too deep; want at most %d levels", deepest)
	}
	switch n.Kind {
	case yaml.MappingNode:
		out := map[string]any{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i]
			if _, twice := out[key.Value]; twice || key.Kind != yaml.ScalarNode {
				return nil, fmt.Errorf("line %d: %q is given twice, or no name", key.Line, key.Value)
			}
			value, err := plainOf(n.Content[i+1], depth+1)
			if err != nil {
				return nil, err
			}
			out[key.Value] = value
		}
		return out, nil
	case yaml.SequenceNode:
		out := []any{}
		for _, c := range n.Content {
			value, err := plainOf(c, depth+1)
			if err != nil {
				return nil, err
			}
			out = append(out, value)
		}
		return out, nil
	case yaml.ScalarNode:
		return scalarOf(n)
	case yaml.AliasNode, yaml.DocumentNode:
	}
	return nil, fmt.Errorf("line %d: is an alias; want the value itself", n.Line)
}

func scalarOf(n *yaml.Node) (any, error) {
	switch n.Tag {
	case "!!null":
		return nil, nil //nolint:nilnil // JSON's null
	case "!!bool":
		var b bool
		err := n.Decode(&b)
		return b, err
	case "!!int", "!!float":
		if json.Valid([]byte(n.Value)) {
			return json.Number(n.Value), nil
		}
		return nil, fmt.Errorf("line %d: %s is no number of JSON; want another form, or quotes", n.Line, n.Value)
	}
	return n.Value, nil
}
