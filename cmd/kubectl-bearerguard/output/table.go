package output

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// Cell is a text in a table.
type Cell struct {
	Text  string
	Style Style
}

// Text is a cell without a style.
func Text(s string) Cell { return Cell{Text: s} }

// Count is a cell with a number.
func Count(n int) Cell { return Cell{Text: fmt.Sprint(n)} }

// Table is a head and rows of cells. Not safe for concurrent use.
type Table struct {
	head []string
	rows [][]Cell
}

// NewTable makes a table with these column heads, in capitals as kubectl's.
func NewTable(head ...string) *Table { return &Table{head: head} }

// Row adds a row. Cells that are missing at its end are empty.
func (t *Table) Row(cells ...Cell) { t.rows = append(t.rows, cells) }

// Hide takes out a column, if there is one of this head.
func (t *Table) Hide(head string) {
	i := slices.Index(t.head, head)
	if i < 0 {
		return
	}
	t.head = slices.Delete(t.head, i, i+1)
	for n, row := range t.rows {
		if i < len(row) {
			t.rows[n] = slices.Delete(row, i, i+1)
		}
	}
}

// Len is the number of rows.
func (t *Table) Len() int { return len(t.rows) }

// gap is between two columns, as kubectl has it; narrowest is how narrow the last column gets before it goes below its row; below is how far
// in it is there.
const (
	gap       = "   "
	narrowest = 20
	below     = 4
)

// Write writes the table. Where it is wider than the screen, the last column is broken into lines, which are below the row if little room is left
// beside it.
func (t *Table) Write(w io.Writer, l Look) {
	widths := make([]int, len(t.head))
	for i, h := range t.head {
		widths[i] = columns(h)
	}
	for _, row := range t.rows {
		for i, c := range row {
			widths[i] = max(widths[i], columns(clean(c.Text)))
		}
	}
	last, before := len(widths)-1, 0
	for _, n := range widths[:last] {
		before += n + len(gap)
	}
	under := l.Width > 0 && widths[last] > narrowest && before+narrowest > l.Width
	switch {
	case under:
		widths[last] = max(narrowest, l.Width-below)
	case l.Width > 0:
		widths[last] = max(narrowest, l.Width-before)
	default:
		widths[last] = 0
	}
	head := make([]Cell, len(t.head))
	for i, h := range t.head {
		head[i] = Cell{h, Strong}
	}
	if under {
		head = head[:last]
	}
	writeRow(w, l, widths, head, false)
	for _, row := range t.rows {
		writeRow(w, l, widths, row, under)
	}
}

func writeRow(w io.Writer, l Look, widths []int, row []Cell, under bool) {
	var b strings.Builder
	last, indent := len(widths)-1, 0
	for i := range last {
		c := Cell{}
		if i < len(row) {
			c = row[i]
		}
		text := clean(c.Text)
		b.WriteString(string(l.Paint(c.Style, text)))
		b.WriteString(strings.Repeat(" ", widths[i]-columns(text)) + gap)
		indent += widths[i] + len(gap)
	}
	if under && last < len(row) && row[last].Text != "" {
		indent = below
		fmt.Fprintln(w, strings.TrimRight(b.String(), " "))
		b.Reset()
		b.WriteString(strings.Repeat(" ", indent))
	}
	if last < len(row) {
		for i, line := range wrap(clean(row[last].Text), widths[last]) {
			if i > 0 {
				b.WriteString("\n" + strings.Repeat(" ", indent))
			}
			b.WriteString(string(l.Paint(row[last].Style, line)))
		}
	}
	fmt.Fprintln(w, strings.TrimRight(b.String(), " "))
}
