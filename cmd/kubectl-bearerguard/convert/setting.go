package convert

import (
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
