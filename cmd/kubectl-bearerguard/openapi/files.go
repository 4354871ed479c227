package openapi

import (
	"fmt"
	"net/url"
	"path"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Bounds of what one document may refer to.
const (
	mostFiles = 100
	mostRefs  = 16 // one after the other
)

// files are a document and those that it refers to.
type files struct {
	read  func(name string) ([]byte, error)
	known map[string]node
}

func (f *files) load(name string) (node, error) {
	if n, ok := f.known[name]; ok {
		return n, nil
	}
	if len(f.known) == mostFiles {
		return node{}, fmt.Errorf("the document has more than %d files", mostFiles)
	}
	data, err := f.read(name)
	if err != nil {
		return node{}, err
	}
	n, err := parse(name, data)
	if err != nil {
		return node{}, err
	}
	f.known[name] = n
	return n, nil
}

// resolve follows $ref (JSON Reference; OpenAPI 3.1 section 4.8.23). alone says that there was one, and nothing beside it that means anything.
func (f *files) resolve(n node) (node, error) {
	for range mostRefs {
		if !n.there() || n.yaml.Kind != yaml.MappingNode {
			return n, nil
		}
		all, err := n.members()
		if err != nil {
			return node{}, err
		}
		ref := node{}
		for _, m := range all {
			switch {
			case m.name == "$ref":
				ref = m.value
			case m.name != "summary" && m.name != "description" && !extension(m.name):
				err = m.value.refuse("stands beside $ref, which says what it is in one reader and not in another; move it there")
			}
		}
		if !ref.there() {
			return n, nil
		}
		if err != nil {
			return node{}, err
		}
		if n, err = f.follow(ref); err != nil {
			return node{}, err
		}
	}
	return node{}, n.refuse("more than %d references follow one another", mostRefs)
}

func (f *files) follow(ref node) (node, error) {
	text, err := ref.scalar()
	if err != nil {
		return node{}, err
	}
	name, pointer, _ := strings.Cut(text, "#")
	file := ref.file
	if name != "" {
		if file, err = local(ref.file, name); err != nil {
			return node{}, ref.refuse("%q %s", text, err)
		}
	}
	n, err := f.load(file)
	if err != nil {
		return node{}, ref.refuse("%q cannot be read: %s", text, err)
	}
	if pointer == "" {
		return n, nil
	}
	if !strings.HasPrefix(pointer, "/") {
		return node{}, ref.refuse("%q names no place by a JSON pointer", text)
	}
	for part := range strings.SplitSeq(pointer[1:], "/") {
		if n, err = step(n, part); err != nil {
			return node{}, err
		}
		if !n.there() {
			return node{}, ref.refuse("%q leads to nothing", text)
		}
	}
	return n, nil
}

// step follows one token of a JSON pointer in a URI fragment (RFC 6901 sections 4 and 6).
func step(n node, token string) (node, error) {
	name := token
	if plain, bad := url.PathUnescape(token); bad == nil {
		name = plain
	}
	name = strings.ReplaceAll(strings.ReplaceAll(name, "~1", "/"), "~0", "~")
	switch n.yaml.Kind {
	case yaml.MappingNode:
		return n.field(name)
	case yaml.SequenceNode:
		items, err := n.items()
		if i, bad := strconv.Atoi(name); err == nil && bad == nil && i >= 0 && i < len(items) {
			return items[i], nil
		}
		return node{}, err
	case yaml.DocumentNode, yaml.ScalarNode, yaml.AliasNode:
	}
	return node{}, nil
}

// local returns the name of a file that another refers to. Nothing is fetched, and nothing is read that lies elsewhere.
func local(from, ref string) (string, error) {
	u, err := url.Parse(ref)
	switch {
	case err != nil:
		return "", fmt.Errorf("is no reference: %w", err)
	case u.Scheme != "" || u.Host != "":
		return "", fmt.Errorf("is elsewhere, and nothing is fetched; put the file beside the document")
	case u.RawQuery != "" || strings.HasPrefix(u.Path, "/") || strings.ContainsAny(u.Path, "\\:"):
		return "", fmt.Errorf("is no relative path")
	}
	name := path.Join(path.Dir(from), u.Path)
	if name == ".." || strings.HasPrefix(name, "../") {
		return "", fmt.Errorf("is outside of the document's directory, which alone is read")
	}
	return name, nil
}
