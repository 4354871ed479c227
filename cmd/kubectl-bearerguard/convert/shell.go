package convert

import (
	"strings"
)

// shellReader takes a command line apart.
type shellReader struct {
	file        File
	notes       *[]Note
	out         []arg
	word        strings.Builder
	in          bool // inside a word
	quote       byte // the one that is open
	line, start int
}

// shellWords takes a command line apart. What only a shell could tell is refused.
func shellWords(f File, notes *[]Note) ([]arg, error) {
	r := &shellReader{file: f, notes: notes, line: 1, start: 1}
	data := strings.ReplaceAll(string(f.Data), "\r\n", "\n")
	for len(data) > 0 {
		n, err := r.next(data)
		if err != nil {
			return nil, err
		}
		r.line += strings.Count(data[:n], "\n")
		data = data[n:]
	}
	if r.quote != 0 {
		return nil, r.at().refuse("ends inside quotes")
	}
	r.end()
	return r.out, nil
}

func (r *shellReader) at() *node { return lineNode(r.file, r.line, r.notes) }

func (r *shellReader) end() {
	if r.in {
		r.out = append(r.out, arg{r.word.String(), lineNode(r.file, r.start, r.notes)})
	}
	r.word.Reset()
	r.in = false
}

func (r *shellReader) put(text string) {
	if !r.in {
		r.in, r.start = true, r.line
	}
	r.word.WriteString(text)
}

// next reads a byte or more, and says how many.
func (r *shellReader) next(data string) (int, error) {
	c := data[0]
	switch {
	case c == '\\' && r.quote != '\'' && len(data) > 1:
		if data[1] != '\n' {
			r.put(data[1:2])
		}
		return 2, nil
	case r.quote != 0 && c == r.quote:
		r.quote = 0
	case r.quote != '\'' && (c == '`' || c == '$' && !strings.HasPrefix(data, "$(")):
		return 0, r.at().refuse("has a %q that a shell would act on; write the command out", string(c))
	case r.quote != 0:
		r.put(data[:1])
	default:
		return r.bare(data)
	}
	return 1, nil
}

// bare reads outside of quotes.
func (r *shellReader) bare(data string) (int, error) {
	c := data[0]
	switch {
	case c == '#' && !r.in:
		if end := strings.IndexByte(data, '\n'); end >= 0 {
			return end, nil
		}
		return len(data), nil
	case c == '"' || c == '\'':
		r.put("")
		r.quote = c
	case c == ' ' || c == '\t' || c == '\n':
		r.end()
	case strings.HasPrefix(data, "$(") && strings.Contains(data, ")"):
		n := strings.IndexByte(data, ')') + 1
		r.put(data[:n])
		return n, nil
	case strings.IndexByte(";|&<>()", c) >= 0:
		return 0, r.at().refuse("has a %q that a shell would act on; write the command out", string(c))
	default:
		r.put(data[:1])
	}
	return 1, nil
}
