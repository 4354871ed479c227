package output

import (
	"fmt"
	"io"
	"math"
	"reflect"
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

// Lines is text whose line breaks stay, such as an error that has several parts.
func Lines(s string) Shown {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = clean(lines[i])
	}
	return Shown(strings.Join(lines, "\n"))
}

// Printf writes as fmt.Fprintf does, with each text among the arguments clean unless it is Shown. It is how commands write for people; what keeps a
// write from being done ends the program soon enough.
func Printf(w io.Writer, format string, args ...any) {
	given := make([]any, len(args))
	for i, a := range args {
		given[i] = fit(a)
	}
	_, _ = fmt.Fprintf(w, format, given...)
}

// fit is what an argument of Printf is written as: numbers as they are, all else as clean text.
func fit(a any) any {
	switch a := a.(type) {
	case Shown:
		return string(a)
	case string:
		return clean(a)
	case error, fmt.Stringer:
		return clean(fmt.Sprint(a))
	}
	switch reflect.ValueOf(a).Kind() { //nolint:exhaustive // the rest is text, or has some
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64,
		reflect.Float32, reflect.Float64, reflect.Bool:
		return a
	}
	return clean(fmt.Sprint(a))
}
