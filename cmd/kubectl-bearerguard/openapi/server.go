package openapi

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// mostBases bounds the base paths of an operation.
const mostBases = 16

// rootBases returns the base paths of a document: that of --base-path, or of its servers.
func (d *document) rootBases() ([]string, error) {
	if d.options.BasePath != nil {
		base := strings.TrimSuffix(*d.options.BasePath, "/")
		if base != "" && !strings.HasPrefix(base, "/") {
			base = "/" + base
		}
		return []string{base}, nil
	}
	if d.swagger {
		n, err := d.root.field("basePath")
		if err != nil || !n.there() {
			return []string{""}, err
		}
		base, err := n.scalar()
		if err != nil {
			return nil, err
		}
		if base != "" && !strings.HasPrefix(base, "/") {
			return nil, n.refuse("%q does not begin with a slash", base)
		}
		return []string{strings.TrimSuffix(base, "/")}, nil
	}
	return d.basesOf(d.root, []string{""})
}

// basesOf returns the base paths by the servers of a document, a path item or an operation; others if it names none.
func (d *document) basesOf(n node, others []string) (out []string, err error) {
	if d.options.BasePath != nil || d.swagger {
		return others, nil
	}
	list, err := n.field("servers")
	if err != nil {
		return nil, err
	}
	servers, err := list.items()
	if err != nil || len(servers) == 0 {
		return others, err
	}
	for _, s := range servers {
		base, err := d.base(s)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(out, base) {
			out = append(out, base)
		}
	}
	if len(out) > mostBases {
		return nil, list.refuse("has %d base paths; want at most %d, or --base-path", len(out), mostBases)
	}
	return out, nil
}

var variable = regexp.MustCompile(`\{[^{}]*\}`)

// withDefaults returns a server's URL with the defaults of its variables; one that has none is empty.
func withDefaults(text string, variables node) (out string, err error) {
	out = variable.ReplaceAllStringFunc(text, func(name string) string {
		v, errField := variables.field(name[1 : len(name)-1])
		if errField == nil && v.there() {
			var value string
			if value, errField = v.text("default"); errField == nil {
				return value
			}
		}
		err = errField
		return ""
	})
	return out, err
}

// base returns the path of a server's URL, with the defaults of its variables.
func (d *document) base(s node) (string, error) {
	text, err := s.text("url")
	if err != nil {
		return "", err
	}
	variables, err := s.field("variables")
	if err != nil {
		return "", err
	}
	const path = "\x00" // stands for a variable
	rest := variable.ReplaceAllString(text, path)
	if i := strings.Index(rest, "://"); i >= 0 {
		rest = rest[i+3:]
	} else if after, ok := strings.CutPrefix(rest, "//"); ok {
		rest = after
	} else {
		rest = "/" + rest
	}
	_, rest, _ = strings.Cut(rest, "/")
	if strings.Contains(rest, path) {
		d.note(s, Stricter, "has variables in its path; their defaults are taken. For others, give --base-path")
	}
	if text, err = withDefaults(text, variables); err != nil {
		return "", err
	}
	u, err := url.Parse(text)
	if err != nil || u.RawQuery != "" || u.Fragment != "" || u.Host == "" && !strings.HasPrefix(text, "/") || strings.ContainsAny(u.Path, "{}") {
		return "", s.refuse("the path of %q is not known from the document alone; give --base-path", text)
	}
	return strings.TrimSuffix(u.EscapedPath(), "/"), nil
}
