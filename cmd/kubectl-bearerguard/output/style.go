package output

// Style is what a text means, and so how it looks.
type Style uint8

const (
	// Plain is how most text looks.
	Plain Style = iota
	// Strong is a heading, or what counts most in a line.
	Strong
	// Faint is what most readers pass over.
	Faint
	// Good is a verdict, with the mark ✓.
	Good
	// Warn is a verdict, with the mark !.
	Warn
	// Bad is a verdict, with the mark ✗.
	Bad
)

// codes are the parameters of Select Graphic Rendition (ECMA-48 section 8.3.117).
var codes = [...]string{Plain: "", Strong: "1", Faint: "2", Good: "32", Warn: "33", Bad: "31"}

// Shown is text that goes to a screen as it is: what does not show is escaped in it, and its terminal escapes are this package's.
type Shown string

// Paint returns text in a style, or just clean where there are no colours.
func (l Look) Paint(s Style, text string) Shown {
	text = clean(text)
	if !l.Colour || codes[s] == "" || text == "" {
		return Shown(text)
	}
	return Shown("\x1b[" + codes[s] + "m" + text + "\x1b[0m")
}

// Mark returns the sign of a verdict; for other styles, a dot. It has one column, and its style's colour.
func (l Look) Mark(s Style) Shown { return l.Paint(s, l.sign(s)) }

func (l Look) sign(s Style) string {
	fancy, plain := "·", "."
	switch s {
	case Good:
		fancy, plain = "✓", "+"
	case Bad:
		fancy, plain = "✗", "-"
	case Warn:
		fancy, plain = "!", "!"
	case Plain, Strong, Faint:
	}
	if l.Unicode {
		return fancy
	}
	return plain
}
