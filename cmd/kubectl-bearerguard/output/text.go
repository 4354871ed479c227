package output

import (
	"math"
	"strings"
	"unicode/utf8"

	"github.com/bearerguard/bearerguard/api/printable"
)

// clean escapes what does not show; line breaks become spaces.
func clean(s string) string { return printable.Text(strings.ReplaceAll(s, "\n", " "), math.MaxInt) }

// Clean is what the functions of this package do to a text, for one that is written past them.
func Clean(s string) string { return clean(s) }

// columns is how wide s is. Combining and double-width characters are counted as one: a line may come out ragged for them.
func columns(s string) int { return utf8.RuneCountInString(s) }

// wrap breaks s, which is clean, at spaces into lines of at most so many columns; 0 is no limit. Words that are too long stay
// whole, so that they can be copied.
func wrap(s string, width int) []string {
	if width <= 0 || columns(s) <= width {
		return []string{s}
	}
	var lines []string
	line := ""
	for word := range strings.SplitSeq(s, " ") {
		switch {
		case line == "":
			line = word
		case columns(line)+1+columns(word) > width:
			lines = append(lines, line)
			line = word
		default:
			line += " " + word
		}
	}
	return append(lines, line)
}
