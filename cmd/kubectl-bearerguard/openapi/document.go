package openapi

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/ruleset"
)

// document is an OpenAPI document that is being read.
type document struct {
	options Options
	files   *files
	root    node
	swagger bool // 2.0

	schemes  map[string]*scheme
	issuers  []policy.Issuer
	names    ruleset.Names // of issuers
	asked    map[string]string
	security *requirements // of the document, once an operation has none of its own
	bases    []string

	operations []operation
	notes      []Note
	missing    []error // of issuers
}

// operation is one of the document's.
type operation struct {
	node   node
	method string
	path   string // as the document has it
	id     string
	tags   []string
	asks   requirements
	opened bool // by Options.Anonymous
	at     []placed
}

// placed is an operation below one base path.
type placed struct {
	path ruleset.Path
	err  error
}

// name is how an operation is shown.
func (o *operation) name() string {
	s := o.method + " " + o.path
	if o.id != "" {
		s += " (" + o.id + ")"
	}
	return s
}

// mostOperations bounds what is made of a document: what overlaps is found by comparing all with all.
const mostOperations = 10_000

var versions = regexp.MustCompile(`^3\.[012](\.|$)`)

func (d *document) readAll() error {
	version, err := d.root.text("openapi")
	if err != nil {
		return err
	}
	old, err := d.root.text("swagger")
	switch {
	case err != nil:
		return err
	case old == "2.0" && version == "":
		d.swagger = true
	case !versions.MatchString(version):
		return d.root.refuse("is no OpenAPI document of a version that is known; want openapi: 3.0, 3.1 or 3.2, or swagger: \"2.0\"")
	}
	if err := d.readSchemes(); err != nil {
		return err
	}
	if err := d.options.check(d.schemes); err != nil {
		return err
	}
	if d.bases, err = d.rootBases(); err != nil {
		return err
	}
	return d.readPaths()
}

func (d *document) readPaths() error {
	paths, err := d.root.field("paths")
	if err != nil {
		return err
	}
	all, err := paths.members()
	if err != nil {
		return err
	}
	for _, m := range all {
		if extension(m.name) {
			continue
		}
		item, err := d.files.resolve(m.value)
		if err != nil {
			return err
		}
		if err := d.readItem(m.name, item); err != nil {
			return err
		}
	}
	return nil
}

// verbs are the fields of a path item that are operations, those of OpenAPI 3.2 included.
var verbs = []string{"get", "put", "post", "delete", "options", "head", "patch", "trace", "query"}

var token = regexp.MustCompile(`^[A-Z][A-Z-]{0,31}$`)

func (d *document) readItem(path string, item node) error {
	bases, err := d.basesOf(item, d.bases)
	if err != nil {
		return err
	}
	fields, err := item.members()
	if err != nil {
		return err
	}
	for _, f := range fields {
		if slices.Contains(verbs, f.name) {
			if err := d.readOperation(strings.ToUpper(f.name), path, f.value, bases); err != nil {
				return err
			}
		}
		if f.name != "additionalOperations" {
			continue
		}
		more, err := f.value.members()
		if err != nil {
			return err
		}
		for _, m := range more {
			if !token.MatchString(m.name) {
				d.note(m.value, LeftOut, "%q is no method that a policy can name", m.name)
				continue
			}
			if err := d.readOperation(m.name, path, m.value, bases); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d *document) readOperation(method, path string, n node, bases []string) (err error) {
	if len(d.operations) == mostOperations {
		return n.refuse("the document has more than %d operations", mostOperations)
	}
	o := operation{node: n, method: method, path: path}
	if o.id, err = n.text("operationId"); err != nil {
		return err
	}
	tags, err := n.field("tags")
	if err != nil {
		return err
	}
	if o.tags, err = tags.texts(); err != nil {
		return err
	}
	if o.asks, err = d.requirementsOf(n); err != nil {
		return err
	}
	if bases, err = d.basesOf(n, bases); err != nil {
		return err
	}
	if !strings.HasPrefix(path, "/") {
		bases = []string{""} // it is wrong whatever stands before it
	}
	for _, base := range bases {
		p, err := ruleset.ParsePath(base + path)
		o.at = append(o.at, placed{p, err})
	}
	d.operations = append(d.operations, o)
	return nil
}

// requirementsOf returns what an operation asks for: its own requirements are in place of the document's.
func (d *document) requirementsOf(n node) (requirements, error) {
	own, err := n.field("security")
	switch {
	case err != nil:
		return requirements{}, err
	case own.there():
		return d.readRequirements(own)
	}
	if d.security == nil {
		n, err := d.root.field("security")
		if err != nil {
			return requirements{}, err
		}
		r, err := d.readRequirements(n)
		if err != nil {
			return requirements{}, err
		}
		d.security = &r
	}
	return *d.security, nil
}

// open lets in without a token what was named, one by one.
func (d *document) open() error {
	for _, name := range d.options.Anonymous {
		var found, open []string
		for i := range d.operations {
			o := &d.operations[i]
			if name != o.id && name != o.path && name != o.method+" "+o.path {
				continue
			}
			found = append(found, o.name())
			if o.asks.open {
				o.opened = true
				open = append(open, o.name())
			}
		}
		switch {
		case len(found) == 0:
			return fmt.Errorf("--anonymous %s: the document has no such operation; want an operationId, \"METHOD /path\", or \"/path\" as the document has it", name)
		case len(open) == 0:
			return fmt.Errorf("--anonymous %s: the document asks for a token at %s; what it asks for is never left out", name, strings.Join(found, ", "))
		}
	}
	return nil
}
