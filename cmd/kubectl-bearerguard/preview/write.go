package preview

import (
	"fmt"
	"io"
	"strings"

	"github.com/pmezard/go-difflib/difflib"

	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/output"
)

// YAML writes the objects as they would be, with a comment above each that has pods.
func YAML(w io.Writer, outcomes []Outcome) {
	for i, o := range outcomes {
		if i > 0 {
			fmt.Fprintln(w, "---")
		}
		if o.Result != Unconcerned {
			output.Printf(w, "# %s\n", o.said())
		}
		io.WriteString(w, o.After) //nolint:errcheck // a broken pipe ends the program
	}
}

// Diff writes what is changed in each object, as diff -u does.
func Diff(w io.Writer, l output.Look, outcomes []Outcome) error {
	for _, o := range outcomes {
		if o.Result == Unconcerned {
			continue
		}
		output.Printf(w, "%s\n", l.Paint(output.Strong, o.said()))
		diff, err := difflib.GetUnifiedDiffString(difflib.UnifiedDiff{
			A: difflib.SplitLines(o.Before), B: difflib.SplitLines(o.After), FromFile: "given", ToFile: "admitted", Context: 3,
		})
		if err != nil {
			return err
		}
		for line := range strings.Lines(diff) {
			style := output.Plain
			switch line[0] {
			case '+':
				style = output.Good
			case '-':
				style = output.Bad
			case '@':
				style = output.Faint
			}
			output.Printf(w, "%s\n", l.Paint(style, strings.TrimRight(line, "\n")))
		}
	}
	return nil
}

// said is an outcome in a line.
func (o *Outcome) said() string {
	text := fmt.Sprintf("%s %s/%s: %s", o.Kind, o.Namespace, o.Name, strings.ToLower(o.Result))
	if o.Why != "" {
		text += ": " + strings.ReplaceAll(o.Why, "\n", "; ")
	}
	return text
}

// Table writes what became of each object that has pods.
func Table(w io.Writer, l output.Look, outcomes []Outcome) {
	var nodes []output.Node
	for _, o := range outcomes {
		if o.Result == Unconcerned {
			continue
		}
		n := output.Node{Mark: output.Faint, Head: o.Kind + " " + o.Namespace + "/" + o.Name, Style: output.Strong, Text: strings.ToLower(o.Result)}
		switch o.Result {
		case Injected:
			n.Mark = output.Good
		case Refused:
			n.Mark = output.Bad
		}
		for line := range strings.SplitSeq(o.Why, "\n") {
			if line != "" {
				n.Children = append(n.Children, output.Node{Text: line})
			}
		}
		for _, warning := range o.Warnings {
			n.Children = append(n.Children, output.Node{Mark: output.Warn, Text: warning})
		}
		nodes = append(nodes, n)
	}
	l.Tree(w, nodes...)
}

// Count is how many outcomes there are of a result.
func Count(outcomes []Outcome, result string) int {
	n := 0
	for i := range outcomes {
		if outcomes[i].Result == result {
			n++
		}
	}
	return n
}
