package output

import "strings"

// Prose breaks a text of paragraphs, lists and indented lines again, for a screen of so many columns; 0 leaves it as it is.
// Lines of a paragraph are joined, and those of an item of a list ("- ") stay under its text.
func Prose(text string, width int) string {
	if width <= 0 {
		return text
	}
	var p prose
	for line := range strings.SplitSeq(text, "\n") {
		p.add(line, width)
	}
	p.end(width)
	return strings.Join(p.lines, "\n")
}

// prose is the lines so far, and the paragraph that is being read: its words, and what its first and its other lines begin with.
type prose struct {
	lines       []string
	words       []string
	first, rest string
}

func (p *prose) add(line string, width int) {
	words := strings.TrimLeft(line, " ")
	indent := line[:len(line)-len(words)]
	item, isItem := strings.CutPrefix(words, "- ")
	switch {
	case words == "":
		p.end(width)
		p.lines = append(p.lines, "")
	case isItem:
		p.end(width)
		p.words, p.first, p.rest = []string{item}, indent+"- ", indent+"  "
	case len(p.words) > 0 && indent == p.rest:
		p.words = append(p.words, words)
	default:
		p.end(width)
		p.words, p.first, p.rest = []string{words}, indent, indent
	}
}

func (p *prose) end(width int) {
	if len(p.words) == 0 {
		return
	}
	begin := p.first
	for _, line := range wrap(strings.Join(p.words, " "), max(width-len(p.rest), 1)) {
		p.lines = append(p.lines, begin+line)
		begin = p.rest
	}
	p.words = nil
}
