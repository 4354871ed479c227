package gate

import "strings"

// Fields are header fields with one value each. They are immutable; the zero Fields are none.
type Fields struct {
	names  []string
	values texts // from the second text on
}

// Len returns how many there are.
func (f Fields) Len() int { return len(f.names) }

// At returns one of them, counted from 0. It does not allocate.
func (f Fields) At(i int) Field { return Field{f.names[i], f.values.at(i + 1)} }

// texts are some texts in one: for each, where it starts, in four bytes with the lowest first; then all of them.
type texts string

const startBytes = 4

func pack(list []string) texts {
	at := startBytes * len(list)
	size := at
	for _, s := range list {
		size += len(s)
	}
	var out strings.Builder
	out.Grow(size)
	for _, s := range list {
		out.Write([]byte{byte(at), byte(at >> 8), byte(at >> 16), byte(at >> 24)})
		at += len(s)
	}
	for _, s := range list {
		out.WriteString(s)
	}
	return texts(out.String())
}

// at returns one of the texts, counted from 0. It has to be there.
func (t texts) at(i int) string {
	end := len(t)
	if next := startBytes * (i + 1); next < t.start(0) { // the first text starts where the starts end
		end = t.start(i + 1)
	}
	return string(t[t.start(i):end])
}

func (t texts) start(i int) int {
	s := t[startBytes*i : startBytes*(i+1)]
	return int(s[0]) | int(s[1])<<8 | int(s[2])<<16 | int(s[3])<<24
}
