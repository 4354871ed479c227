package manifest

import (
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxLists is how deep a List may be in others.
const maxLists = 4

// objects returns the objects of a document: itself; the items of a List, as `kubectl get -o yaml` writes them; or none, if it
// is empty, such as comments alone.
func (d *decoder) objects(n *yaml.Node, deep int) ([]*yaml.Node, error) {
	if n.Tag == "!!null" {
		return nil, nil
	}
	var version, kind string
	if d.texts(n, map[string]*string{"apiVersion": &version, "kind": &kind}) != nil || !isList(version, kind) {
		return []*yaml.Node{n}, nil //nolint:nilerr // what is wrong with it is said when it is read
	}
	items := member(n, "items")
	switch {
	case items == nil || items.Tag == "!!null":
		return nil, nil
	case items.Kind != yaml.SequenceNode:
		return nil, d.errorAt(items, "items", "is %s; want a list of objects", kindOf(items))
	case deep == maxLists:
		return nil, d.errorAt(items, "items", "is a List in too many others; want at most %d", maxLists)
	}
	var out []*yaml.Node
	for _, item := range items.Content {
		objects, err := d.objects(item, deep+1)
		if err != nil {
			return nil, err
		}
		out = append(out, objects...)
	}
	return out, nil
}

// isList reports whether an object is a List of what is used here.
func isList(version, kind string) bool {
	of, ok := strings.CutSuffix(kind, "List")
	return ok && (of == "" && version == coreVersion || of != "" && versionOf(of) == version)
}

// member returns the value of a member of a mapping, or nil.
func member(n *yaml.Node, name string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			return n.Content[i+1]
		}
	}
	return nil
}

// foreign returns "kind name" of an object that has nothing to do with the rules, such as a Deployment in the same folder;
// "" for all others. An object of the project's own group, and one that has a name of its kinds written otherwise, is never
// foreign: a mistake in it must not take a rule away in silence.
func (d *decoder) foreign(n *yaml.Node) (string, error) {
	var version, kind, name string
	if err := d.texts(n, map[string]*string{"apiVersion": &version, "kind": &kind, "metadata.name": &name}); err != nil {
		return "", err
	}
	group, _, grouped := strings.Cut(version, "/")
	own := strings.Contains(strings.ToLower(group), "bearer")
	switch {
	case version == "" || kind == "" || own:
		return "", nil
	case grouped:
		return version + " " + kind + " " + name, nil
	case version != coreVersion || isOurs(kind):
		return "", nil
	}
	return kind + " " + name, nil
}

// isOurs reports whether a kind is one that is used here, or one of these misspelt in case.
func isOurs(kind string) bool {
	for _, ours := range []string{kindPolicy, kindRevocation, kindSecret, kindConfigMap} {
		if strings.EqualFold(kind, ours) || strings.EqualFold(kind, ours+"s") || strings.EqualFold(kind, ours+"List") {
			return true
		}
	}
	return false
}
