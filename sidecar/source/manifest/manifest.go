package manifest

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/lint"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/api/revoked"
)

// MaxFile bounds one file, in bytes.
const MaxFile = 64 << 20

// File is a file's name, for errors, and its content.
type File struct {
	Name string
	Data []byte
}

// Error is a mistake in a file. It holds no values from Secrets.
type Error struct {
	// File is the file's name.
	File string
	// Line counts from 1; 0 if the mistake has no line.
	Line int
	// Path is the field's path: spec.rules[0].match; empty if the mistake is in the document as such.
	Path string
	// Problem is what is wrong and what is wanted.
	Problem string
}

// Error is "file:line: path: problem".
func (e *Error) Error() string {
	at := e.File
	if e.Line > 0 {
		at = fmt.Sprintf("%s:%d", at, e.Line)
	}
	if e.Path == "" {
		return at + ": " + e.Problem
	}
	return at + ": " + e.Path + ": " + e.Problem
}

// Ref names an object.
type Ref struct {
	Namespace, Name string
}

// Data is the content of a Secret or ConfigMap. Do not modify.
type Data map[string][]byte

// Revocation is a TokenRevocation.
type Revocation struct {
	Namespace, Name string
	policy.Revocation
}

// Revoked returns what all revocations take back.
func (s *Set) Revoked() *revoked.Set {
	all := make([]policy.Revocation, len(s.Revocations))
	for i, r := range s.Revocations {
		all[i] = r.Revocation
	}
	return revoked.SetOf(all...)
}

// Set is what a directory's files say, taken together.
type Set struct {
	// Policies and Revocations are in the order of the files.
	Policies    []bundle.Object
	Revocations []Revocation
	// Secrets and ConfigMaps are what policies refer to.
	Secrets, ConfigMaps map[Ref]Data
	// Skipped has a line for each object that has nothing to do with the rules.
	Skipped []string

	origins map[objectID]origin
	cluster bool // a RevocationSource is no mistake
}

// objectID tells the objects of a Set apart.
type objectID struct {
	kind string
	ref  Ref
}

// origin is where an object is written.
type origin struct {
	file string
	node *yaml.Node
}

// Parse reads files, in the order of their names. An object without a namespace is in defaultNamespace. The error joins
// one *Error for each document that is wrong; there is no Set then, since half of a set of rules is another set of rules.
func Parse(files []File, defaultNamespace string) (*Set, error) {
	return parse(files, defaultNamespace, &Set{})
}

// ParseForCluster is Parse of files that are for a cluster: what only its controller uses, a RevocationSource, is skipped. A sidecar
// that reads files by itself cannot do what one says, and is not to pass it over.
func ParseForCluster(files []File, defaultNamespace string) (*Set, error) {
	return parse(files, defaultNamespace, &Set{cluster: true})
}

func parse(files []File, defaultNamespace string, set *Set) (*Set, error) {
	set.Secrets, set.ConfigMaps, set.origins = map[Ref]Data{}, map[Ref]Data{}, map[objectID]origin{}
	sorted := slices.SortedFunc(slices.Values(files), func(a, b File) int { return compare(a.Name, b.Name) })
	var problems []error
	for _, f := range sorted {
		problems = append(problems, set.read(f, defaultNamespace)...)
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return set, nil
}

// Place is "file:line" of a field of a policy, or of the nearest thing above it that is written down. The path is as in
// an error of the policy compiler. Empty if there is no such policy.
func (s *Set) Place(policy bundle.Object, path string) string {
	o, ok := s.origins[objectID{kindPolicy, Ref{policy.Namespace, policy.Name}}]
	if !ok {
		return ""
	}
	return fmt.Sprintf("%s:%d", o.file, lineOf(o.node, path))
}

// Warnings returns what is valid in the policies but probably not meant, each with its file and line.
func (s *Set) Warnings() []string {
	var out []string
	for _, f := range s.Findings() {
		file, line := s.Line(f.Policy, f.Path)
		out = append(out, fmt.Sprintf("%s:%d: %s", file, line, f.Error()))
	}
	return append(out, s.together()...)
}

// together returns what is of no use since all policies are in force together.
func (s *Set) together() (out []string) {
	all := make([]decision.Policy, 0, len(s.Policies))
	places := map[string]bundle.Object{}
	for _, o := range s.Policies {
		all = append(all, decision.Policy{Namespace: o.Namespace, Name: o.Name, Spec: o.Spec})
		places[o.ID()] = o
	}
	for _, finding := range lint.Together(all) {
		out = append(out, s.Place(places[finding.Policy], finding.Path)+": "+finding.Error())
	}
	return out
}

// Findings are the warnings one by one.
func (s *Set) Findings() []lint.Finding {
	objects := make([]lint.Object, len(s.Policies))
	for i := range s.Policies {
		o := &s.Policies[i]
		objects[i] = lint.Object{Namespace: o.Namespace, Name: o.Name, Selector: o.Selector, Spec: &o.Spec}
	}
	return lint.Objects(objects, decision.ExpressionHints)
}

// Line is where a field of the policy with this id is written, or the nearest thing above it; "" and 0 if there is no such policy.
func (s *Set) Line(id, path string) (file string, line int) {
	namespace, name, _ := strings.Cut(id, "/")
	o, ok := s.origins[objectID{kindPolicy, Ref{namespace, name}}]
	if !ok {
		return "", 0
	}
	return o.file, lineOf(o.node, path)
}
