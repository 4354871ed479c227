package convert

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// flagKind is how a flag's value is read.
type flagKind int

const (
	textFlag flagKind = iota
	boolFlag
	listFlag  // values with commas, and several times
	arrayFlag // several times
)

// flagInfo is a flag of a program. A flag without a reason is converted; that of the others is told.
type flagInfo struct {
	kind   flagKind
	effect Effect
	why    string
}

// setting is the value of a flag, and where it stands.
type setting struct {
	name   string
	node   *node
	values []string
	hidden bool // the value is in a Secret, or else not in the files
}

// settings are those of a program.
type settings struct {
	program Source
	flags   map[string]flagInfo
	all     map[string]*setting
	node    *node // the container or the file
}

// text returns a value; "" if it is not given.
func (s *settings) text(name string) string {
	if x := s.all[name]; x != nil && len(x.values) > 0 {
		return x.values[len(x.values)-1]
	}
	return ""
}

// or returns a value, or what it is if it is not given.
func (s *settings) or(name, otherwise string) string {
	if x := s.all[name]; x != nil {
		return s.text(name)
	}
	return otherwise
}

// on reports whether a flag is true.
func (s *settings) on(name string, otherwise bool) bool {
	if s.all[name] == nil {
		return otherwise
	}
	return isTrue(s.text(name))
}

func isTrue(text string) bool {
	return slices.Contains([]string{"1", "t", "T", "true", "TRUE", "True"}, text)
}

func (s *settings) list(name string) []string {
	if x := s.all[name]; x != nil {
		return x.values
	}
	return nil
}

// at is where a flag stands, or else the program.
func (s *settings) at(name string) *node {
	if x := s.all[name]; x != nil {
		return x.node
	}
	return s.node
}

// put takes in a value. again adds it to those of a list that are there already.
func (s *settings) put(name, value string, n *node, again bool) error {
	info, known := s.flags[name]
	if !known {
		return n.refuse("%s is not known, and so neither is what it would limit; take the line out if it limits nobody", name)
	}
	x := s.all[name]
	if x == nil || !again {
		x = &setting{name: name, node: n}
		s.all[name] = x
	}
	switch info.kind {
	case listFlag:
		x.values = append(x.values, splitList(value)...)
	case arrayFlag:
		x.values = append(x.values, value)
	case boolFlag:
		if !isTrue(value) && !slices.Contains([]string{"0", "f", "F", "false", "FALSE", "False"}, value) {
			return n.refuse("%q is neither true nor false", value)
		}
		x.values, x.node = []string{value}, n
	case textFlag:
		x.values, x.node = []string{value}, n
	}
	return nil
}

// splitList splits at commas, as pflag does of values without quotes.
func splitList(value string) (out []string) {
	for _, v := range strings.Split(value, ",") {
		if v = strings.Trim(v, `"`); v != "" {
			out = append(out, v)
		}
	}
	return out
}

// hide notes that a value is given and not known.
func (s *settings) hide(name string, n *node) {
	if _, known := s.flags[name]; known {
		s.all[name] = &setting{name: name, node: n, hidden: true}
	}
}

func (s *settings) hidden(name string) bool { return s.all[name] != nil && s.all[name].hidden }

// arg is a word of a command line.
type arg struct {
	text string
	node *node
}

// command reads the flags of a command line.
func (s *settings) command(args []arg) error {
	given := map[string]bool{}
	for i := 0; i < len(args); i++ {
		a := args[i]
		name, dashed := strings.CutPrefix(a.text, "-")
		if !dashed || name == "" {
			return a.node.refuse("%q is no flag", a.text)
		}
		name, value, inline := strings.Cut(strings.TrimPrefix(name, "-"), "=")
		info := s.flags[name]
		n := *a.node
		n.path = "--" + name
		switch {
		case inline:
		case info.kind == boolFlag:
			value = "true"
		case i+1 < len(args):
			i++
			value = args[i].text
		default:
			return n.refuse("has no value")
		}
		if strings.Contains(value, "$(") {
			s.hide(name, &n)
			continue
		}
		if err := s.put(name, value, &n, given[name]); err != nil {
			return err
		}
		given[name] = true
	}
	return nil
}

// rest notes what became of the flags that say nothing of who is let in.
func (s *settings) rest() {
	for _, name := range slices.Sorted(maps.Keys(s.all)) {
		if info := s.flags[name]; info.why != "" {
			s.all[name].node.note(info.effect, "%s", info.why)
		}
	}
}

// lineNode is a line of a file that is no YAML.
func lineNode(f File, line int, notes *[]Note) *node {
	return &node{notes: notes, file: f.Name, yaml: &yaml.Node{Kind: yaml.ScalarNode, Line: line}}
}

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

// configLine is a line of a configuration file: key = value.
type configLine struct {
	key    string
	values []string
	list   bool
	node   *node
}

// configLines reads what oauth2-proxy's configuration files have of TOML: texts, numbers, booleans and lists of texts.
func configLines(f File, notes *[]Note) (out []configLine, err error) {
	lines := strings.Split(strings.ReplaceAll(string(f.Data), "\r\n", "\n"), "\n")
	for i := 0; i < len(lines); i++ {
		n := lineNode(f, i+1, notes)
		text := strings.TrimSpace(lines[i])
		if text == "" || text[0] == '#' {
			continue
		}
		key, value, found := strings.Cut(text, "=")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		if !found || key == "" || strings.Trim(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") != "" {
			return nil, n.refuse("is no line key = value")
		}
		n.path = key
		for strings.HasPrefix(value, "[") && !closed(value) && i+1 < len(lines) {
			i++
			value += "\n" + strings.TrimSpace(lines[i])
		}
		l := configLine{key: key, node: n}
		if l.values, l.list, err = tomlValue(value); err != nil {
			return nil, n.refuse("%s", err)
		}
		out = append(out, l)
	}
	return out, nil
}

// closed reports whether a list is closed outside of its texts.
func closed(value string) bool {
	_, _, err := tomlValue(value)
	return err == nil
}

// tomlValue reads a value.
func tomlValue(text string) (values []string, list bool, err error) {
	if !strings.HasPrefix(text, "[") {
		value, rest, err := tomlScalar(text)
		if err == nil && !blank(rest) {
			err = fmt.Errorf("has %q behind its value", strings.TrimSpace(rest))
		}
		return []string{value}, false, err
	}
	rest := text[1:]
	for {
		rest = skipBlank(rest)
		if after, end := strings.CutPrefix(rest, "]"); end {
			if !blank(after) {
				return nil, true, fmt.Errorf("has %q behind its list", strings.TrimSpace(after))
			}
			return values, true, nil
		}
		var value string
		if value, rest, err = tomlScalar(rest); err != nil {
			return nil, true, err
		}
		values = append(values, value)
		rest = skipBlank(rest)
		if after, more := strings.CutPrefix(rest, ","); more {
			rest = after
		} else if !strings.HasPrefix(rest, "]") {
			return nil, true, fmt.Errorf("is a list without an end")
		}
	}
}

// blank reports whether nothing but a comment follows.
func blank(rest string) bool { return skipBlank(rest) == "" }

// skipBlank skips spaces, line ends and comments.
func skipBlank(rest string) string {
	for {
		rest = strings.TrimLeft(rest, " \t\n")
		if !strings.HasPrefix(rest, "#") {
			return rest
		}
		_, rest, _ = strings.Cut(rest, "\n")
	}
}

// tomlScalar reads a text in quotes, or a word.
func tomlScalar(text string) (value, rest string, err error) {
	switch {
	case text == "":
		return "", "", fmt.Errorf("has no value")
	case text[0] == '\'':
		value, rest, found := strings.Cut(text[1:], "'")
		if !found {
			return "", "", fmt.Errorf("has a text without an end")
		}
		return value, rest, nil
	case text[0] != '"':
		end := strings.IndexAny(text, " \t\n,]#")
		if end < 0 {
			end = len(text)
		}
		if word := text[:end]; word == "true" || word == "false" || word != "" && strings.Trim(word, "0123456789._+-") == "" {
			return word, text[end:], nil
		}
		return "", "", fmt.Errorf("is neither a text in quotes, nor true, false or a number")
	}
	return tomlText(text)
}

// tomlText reads a text in double quotes.
func tomlText(text string) (value, rest string, err error) {
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			return b.String(), text[i+1:], nil
		case c == '\n':
			return "", "", fmt.Errorf("has a text without an end")
		case c == '\\' && i+1 < len(text):
			i++
			at := strings.IndexByte(`"\nt`, text[i])
			if at < 0 {
				return "", "", fmt.Errorf("has the escape \\%c, which is not read", text[i])
			}
			b.WriteByte("\"\\\n\t"[at])
		default:
			b.WriteByte(c)
		}
	}
	return "", "", fmt.Errorf("has a text without an end")
}
