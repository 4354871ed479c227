package ruleset

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/bearerguard/bearerguard/api/printable"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/output"
)

// Document is an AuthPolicy to be written.
type Document struct {
	// Object is written with its fields in the order of its JSON.
	Object any
	// Rules are comments for rules, by their names.
	Rules map[string]string
}

// Write writes objects as YAML documents, below a comment with a line for each of the lines.
func Write(w io.Writer, lines []string, documents []Document) error {
	var b bytes.Buffer
	for _, line := range lines {
		fmt.Fprintf(&b, "# %s\n", printable.Text(line, math.MaxInt))
	}
	for i, d := range documents {
		if i > 0 || len(lines) > 0 {
			b.WriteString("---\n")
		}
		if err := d.write(&b); err != nil {
			return err
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}

func (d *Document) write(w io.Writer) error {
	text, err := json.Marshal(d.Object)
	if err != nil {
		return err
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(output.JSONForYAML(text), &doc); err != nil {
		return err
	}
	plain(&doc)
	for _, rule := range at(at(doc.Content[0], "spec"), "rules").Content {
		if said := d.Rules[at(rule, "name").Value]; said != "" {
			rule.HeadComment = "# " + printable.Text(said, math.MaxInt)
		}
	}
	e := yaml.NewEncoder(w)
	e.SetIndent(2)
	e.CompactSeqIndent()
	return e.Encode(&doc)
}

// at returns a field of a mapping; an empty node without one.
func at(n *yaml.Node, name string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			return n.Content[i+1]
		}
	}
	return &yaml.Node{}
}

// width is how long a list on one line may be, in bytes.
const width = 100

// plain takes away that a node was JSON, but for short lists of texts.
func plain(n *yaml.Node) {
	n.Style = 0
	length, short := 0, n.Kind == yaml.SequenceNode
	for _, c := range n.Content {
		plain(c)
		length += len(c.Value) + 2
		short = short && c.Kind == yaml.ScalarNode && !strings.ContainsAny(c.Value, "{}[],")
	}
	if short && length <= width || len(n.Content) == 0 && n.Kind != yaml.ScalarNode {
		n.Style = yaml.FlowStyle
	}
}
