package manifest

import (
	"cmp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

func compare(a, b string) int { return cmp.Compare(a, b) }

// lineOf walks down from n along path as far as the document goes, and returns the line it got to.
func lineOf(n *yaml.Node, path string) int {
	line := n.Line
	for path != "" && n != nil {
		var step string
		step, path = nextStep(path)
		var at int
		if n, at = child(n, step); n != nil {
			line = at
		}
	}
	return line
}

// nextStep cuts the first step off a path: a name, or an index such as "[2]" or ["quoted"].
func nextStep(path string) (step, rest string) {
	path = strings.TrimPrefix(path, ".")
	if strings.HasPrefix(path, "[") {
		if quoted, err := strconv.QuotedPrefix(path[1:]); err == nil {
			name, _ := strconv.Unquote(quoted) // QuotedPrefix has checked it
			return name, strings.TrimPrefix(path[1+len(quoted):], "]")
		}
		if end := strings.IndexByte(path, ']'); end > 0 {
			return path[:end+1], path[end+1:]
		}
		return path, ""
	}
	if end := strings.IndexAny(path, ".["); end > 0 {
		return path[:end], path[end:]
	}
	return path, ""
}

// child returns what step leads to, and its line; for a member that is the line of its name.
func child(n *yaml.Node, step string) (*yaml.Node, int) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Kind == yaml.SequenceNode && strings.HasPrefix(step, "[") {
		i, err := strconv.Atoi(strings.Trim(step, "[]"))
		if err != nil || i < 0 || i >= len(n.Content) {
			return nil, 0
		}
		return n.Content[i], n.Content[i].Line
	}
	if n.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == step {
				return n.Content[i+1], n.Content[i].Line
			}
		}
	}
	return nil, 0
}
