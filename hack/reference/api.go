package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

const apiHead = `# API reference

<!-- Written by "make generate" from the CustomResourceDefinitions, which are made from the Go types in api/. Do not edit. -->

Every field of every object of ` + "`bearerguard.dev/v1alpha1`, as the API server has it: type, default, bounds, and rules that the API server holds fields to. `kubectl explain authpolicy.spec`" + `
prints the same. What the fields mean together is in [policy.md](policy.md). Editors check files against the [JSON schemas](releases.md#custom-resources-apart-from-the-controller) of a release.

`

// definition is what is needed of a CustomResourceDefinition.
type definition struct {
	Spec struct {
		Names struct {
			Kind       string
			Plural     string
			ShortNames []string
		}
		Versions []struct {
			AdditionalPrinterColumns []struct {
				Name, JSONPath string
			}
			Schema struct{ OpenAPIV3Schema *field }
		}
	}
}

// field is a node of its schema.
type field struct {
	Type, Description, Format, Pattern       string
	Default                                  any
	Enum                                     []any
	Minimum, Maximum                         *json.Number
	MinLength, MaxLength, MinItems, MaxItems *int64
	MinProperties, MaxProperties             *int64
	Properties                               map[string]*field
	AdditionalProperties                     *anything
	Items                                    *field
	Required                                 []string
	Validations                              []rule `json:"x-kubernetes-validations"`
}

// anything is a schema, or true.
type anything struct{ field }

// UnmarshalJSON implements json.Unmarshaler.
func (a *anything) UnmarshalJSON(data []byte) error {
	if string(data) == "true" || string(data) == "false" {
		return nil
	}
	return json.Unmarshal(data, &a.field)
}

// rule is what the API server holds an object to.
type rule struct{ Rule, Message string }

// apiPage writes docs/api.md.
func apiPage(root string) (string, error) {
	files, err := filepath.Glob(filepath.Join(root, "config", "crd", "bearerguard.dev_*.yaml"))
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString(apiHead)
	var all []definition
	for _, file := range files {
		text, err := os.ReadFile(file) //nolint:gosec // a file of the repository
		if err != nil {
			return "", err
		}
		var d definition
		if err := yaml.Unmarshal(text, &d); err != nil {
			return "", fmt.Errorf("%s: %w", file, err)
		}
		all = append(all, d)
		fmt.Fprintf(&b, "- [%s](#%s)\n", d.Spec.Names.Kind, strings.ToLower(d.Spec.Names.Kind))
	}
	for _, d := range all {
		names, version := d.Spec.Names, d.Spec.Versions[0]
		schema := version.Schema.OpenAPIV3Schema
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n`kubectl get %s`, in short `%s`, shows", names.Kind, prose(schema.Description), names.Plural, strings.Join(names.ShortNames, ", "))
		for i, c := range version.AdditionalPrinterColumns {
			fmt.Fprintf(&b, "%s %s (`%s`)", map[bool]string{true: ",", false: ""}[i > 0], c.Name, c.JSONPath)
		}
		b.WriteString(".\n")
		for _, part := range []string{"spec", "status"} {
			if f := schema.Properties[part]; f != nil {
				writeField(&b, names.Kind, part, f)
			}
		}
	}
	return b.String(), nil
}

// writeField writes the section of an object, and those of the objects in it.
func writeField(b *strings.Builder, kind, path string, f *field) {
	fmt.Fprintf(b, "\n### %s: %s\n\n", kind, path)
	if text := prose(f.Description); text != "" {
		b.WriteString(text + "\n\n")
	}
	b.WriteString("| field | type | what it is |\n|---|---|---|\n")
	names := make([]string, 0, len(f.Properties))
	for name := range f.Properties {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { // what is required comes first
		need := func(n string) int { return -map[bool]int{true: 1}[slices.Contains(f.Required, n)] }
		if d := need(a) - need(b); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	type inner struct {
		path string
		f    *field
	}
	var below []inner
	for _, name := range names {
		child := f.Properties[name]
		within, object := path+"."+name, child
		for object.Type == "array" && object.Items != nil {
			within, object = within+"[]", object.Items
		}
		text := child.typeName()
		if name != "conditions" && len(object.Properties) > 0 {
			below = append(below, inner{within, object})
			text = fmt.Sprintf("[%s](#%s)", text, anchor(kind+": "+within))
		}
		if slices.Contains(f.Required, name) {
			text += ", **required**"
		}
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", name, text, child.about())
	}
	for _, v := range f.Validations {
		fmt.Fprintf(b, "\nHeld to: %s. `%s`\n", strings.TrimSuffix(prose(v.Message), "."), strings.Join(strings.Fields(v.Rule), " "))
	}
	for _, i := range below {
		writeField(b, kind, i.path, i.f)
	}
}

// anchor is the name of a heading, as forges make it.
func anchor(heading string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '_':
			return r
		}
		return -1
	}, strings.ToLower(heading))
}

// typeName names a type for people.
func (f *field) typeName() string {
	switch {
	case f.Type == "array" && f.Items != nil:
		return "list of " + f.Items.typeName()
	case f.AdditionalProperties != nil:
		return "map of " + f.AdditionalProperties.typeName()
	case f.Format != "" && f.Type == "string":
		return f.Format
	case f.Type == "":
		return "any"
	}
	return f.Type
}

// about is the description of a field with its default and its bounds.
func (f *field) about() string {
	out := prose(f.Description)
	add := func(format string, args ...any) { out += " " + fmt.Sprintf(format, args...) }
	if f.Default != nil {
		def, _ := json.Marshal(f.Default)
		add("Default: `%s`.", def)
	}
	for i, g := range []*field{f, f.Items} {
		of := []string{"", "each "}[i]
		if g == nil || i > 0 && len(g.Properties) > 0 {
			continue
		}
		if len(g.Enum) > 0 {
			var values []string
			for _, e := range g.Enum {
				values = append(values, fmt.Sprintf("`%v`", e))
			}
			add("%s", sentence(of+"one of "+strings.Join(values, ", ")))
		}
		if g.Pattern != "" {
			add("%s `%s`.", strings.TrimSuffix(sentence(of+"fits"), "."), strings.ReplaceAll(g.Pattern, "|", `\|`))
		}
	}
	out += bounds(f.MinItems, f.MaxItems, "items") + bounds(f.MinLength, f.MaxLength, "characters") + bounds(f.MinProperties, f.MaxProperties, "entries")
	if f.Minimum != nil || f.Maximum != nil {
		out += bounds(number(f.Minimum), number(f.Maximum), "")
	}
	for _, v := range f.Validations {
		if len(f.Properties) == 0 {
			add("%s", sentence(prose(v.Message)))
		}
	}
	return strings.TrimSpace(out)
}

func number(n *json.Number) *int64 {
	if n == nil {
		return nil
	}
	v, err := n.Int64()
	if err != nil {
		return nil
	}
	return &v
}

// bounds says from what to what something may be.
func bounds(least, most *int64, unit string) string {
	text := ""
	switch {
	case least != nil && most != nil:
		text = fmt.Sprintf(" %d to %d %s", *least, *most, unit)
	case most != nil:
		text = fmt.Sprintf(" At most %d %s", *most, unit)
	case least != nil:
		text = fmt.Sprintf(" At least %d %s", *least, unit)
	default:
		return ""
	}
	return strings.TrimRight(text, " ") + "."
}

// prose makes a description one line of a page.
func prose(text string) string { return cell(text) }
