package convert

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Effect is what became of a field that did not come over as it was.
type Effect string

// The effects.
const (
	// LeftOut: it is not in the result. What it let in is refused, if it let in anything.
	LeftOut Effect = "LeftOut"
	// Stricter: what came of it refuses more than it did.
	Stricter Effect = "Stricter"
	// Differs: it came over, and there is something to know about it.
	Differs Effect = "Differs"
)

// Note says of one field of the source what became of it.
type Note struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Object string `json:"object,omitempty"` // "AuthorizationPolicy shop/orders"
	Field  string `json:"field"`            // "spec.rules[0].from[0].source.principals[1]"
	Effect Effect `json:"effect"`
	Reason string `json:"reason"`
}

// String is the note as a compiler would write it.
func (n Note) String() string {
	place := n.File
	if n.Line > 0 {
		place += fmt.Sprintf(":%d", n.Line)
	}
	var said []string
	for _, part := range []string{place, n.Object, n.Field, n.Effect.words(), n.Reason} {
		if part != "" {
			said = append(said, part)
		}
	}
	return strings.Join(said, ": ")
}

func (e Effect) words() string {
	switch e {
	case LeftOut:
		return "left out"
	case Stricter:
		return "stricter"
	case Differs:
		return "mind"
	}
	return string(e)
}

// sortNotes brings notes into the order of the files, and drops those that are said twice.
func sortNotes(notes []Note) []Note {
	slices.SortStableFunc(notes, func(a, b Note) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Field, b.Field), cmp.Compare(a.Reason, b.Reason))
	})
	return slices.Compact(notes)
}
