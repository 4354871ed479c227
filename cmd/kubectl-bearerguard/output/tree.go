package output

import (
	"fmt"
	"io"
)

// Node is a line of a tree, and what is below it.
type Node struct {
	// Mark is the verdict before the text; Plain has none.
	Mark Style
	// Head is the text's beginning, in Style; Text is the rest, after a space.
	Head  string
	Style Style
	Text  string
	// Notes are lines of their own under the text, faint.
	Notes    []string
	Children []Node
}

// strokes are what is drawn before a child, before what is below it, and before the last child.
type strokes struct{ child, below, last string }

const noStroke = "   "

func (l Look) strokes() strokes {
	if l.Unicode {
		return strokes{"├─ ", "│  ", "└─ "}
	}
	return strokes{"|- ", "|  ", "`- "}
}

// Tree writes nodes and what is below them.
func (l Look) Tree(w io.Writer, nodes ...Node) {
	for i := range nodes {
		l.node(w, &nodes[i], "", "")
	}
}

// node writes a node after prefix; what belongs to it comes after indent, which is as wide.
func (l Look) node(w io.Writer, n *Node, prefix, indent string) {
	draw := l.strokes()
	mark, hang := "", indent+"  "
	if n.Mark != Plain {
		mark = string(l.Mark(n.Mark)) + " "
	}
	if len(n.Children) > 0 {
		hang = indent + draw.below[:len(draw.below)-1]
	}
	head, text := clean(n.Head), clean(n.Text)
	if head != "" && text != "" {
		text = " " + text
	}
	width := l.room(columns(hang))
	for i, line := range wrap(head+text, width) {
		if i == 0 {
			fmt.Fprintln(w, string(l.Paint(Faint, prefix))+mark+l.begin(n.Style, head, line))
			continue
		}
		fmt.Fprintln(w, string(l.Paint(Faint, hang))+line)
	}
	for _, note := range n.Notes {
		for _, line := range wrap(clean(note), width) {
			fmt.Fprintln(w, l.Paint(Faint, hang+line))
		}
	}
	for i := range n.Children {
		stroke, below := draw.child, draw.below
		if i == len(n.Children)-1 {
			stroke, below = draw.last, noStroke
		}
		l.node(w, &n.Children[i], indent+stroke, indent+below)
	}
}

// room is what a screen has left beside so many columns; 0 is no limit.
func (l Look) room(taken int) int {
	if l.Width == 0 {
		return 0
	}
	return max(narrowest, l.Width-taken)
}

// begin paints the head of a line that may have been broken within it.
func (l Look) begin(s Style, head, line string) string {
	n := min(len(head), len(line))
	return string(l.Paint(s, line[:n])) + line[n:]
}
