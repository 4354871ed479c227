package status

import (
	"fmt"
	"strings"
)

const (
	// maxMessage bounds a condition's message, in bytes; the API takes 32 KiB.
	maxMessage = 4096
	// maxNames is how many pods a message names.
	maxNames = 3
)

// list is "a, b, c and 4 more" for the first names of n.
func list(names []string, n int) string {
	text := strings.Join(names, ", ")
	if n > len(names) {
		text += fmt.Sprintf(" and %d more", n-len(names))
	}
	return text
}

func summary(current, total int) string { return fmt.Sprintf("%d/%d", current, total) }

// of is "1 of 3 pods runs", with the verb for one or for many.
func of(n, total int, noun, one, many string) string {
	if total != 1 {
		noun += "s"
	}
	if n == 1 {
		many = one
	}
	return fmt.Sprintf("%d of %d %s %s", n, total, noun, many)
}

// all is "all 3 pods", or "the only pod".
func all(n int, noun string) string {
	if n == 1 {
		return "the only " + noun
	}
	return fmt.Sprintf("all %d %ss", n, noun)
}

func more(n int, noun, one, many string) string {
	switch n {
	case 0:
		return ""
	case 1:
		return fmt.Sprintf(" (1 more %s %s)", noun, one)
	}
	return fmt.Sprintf(" (%d more %ss %s)", n, noun, many)
}

func clip(s string) string {
	if len(s) <= maxMessage {
		return s
	}
	const tail = " ..."
	cut := maxMessage - len(tail)
	for cut > 0 && s[cut]&0xC0 == 0x80 { // not in the middle of a character
		cut--
	}
	return s[:cut] + tail
}
