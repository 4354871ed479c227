// Package findings says what is wrong with files of policies, and what is valid in them and probably not meant, with the line of
// each; and writes it as a table and as SARIF. It does no I/O: files come as bytes.
package findings

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/lint"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/output"
	"github.com/bearerguard/bearerguard/sidecar/source/manifest"
)

// ErrNothing says that no file has an object to look at: that nothing was found in them says nothing.
var ErrNothing = errors.New("the files hold nothing to look at; want AuthPolicies")

// Level says what becomes of a policy with a finding.
type Level string

const (
	// Warning is a policy that is taken, and probably not what is meant.
	Warning Level = "warning"
	// Error is one that is refused.
	Error Level = "error"
)

// Checks of what is refused; those of warnings are lint.Checks.
const (
	invalidFile   lint.Check = "invalid-file"
	invalidPolicy lint.Check = "invalid-policy"
)

// Finding is one thing that is wrong.
type Finding struct {
	File string `json:"file"`
	// Line counts from 1; 0 if it has none.
	Line  int        `json:"line,omitempty"`
	Level Level      `json:"level"`
	Check lint.Check `json:"check"`
	// Policy is namespace/name; Path is the field. Both may be empty.
	Policy  string `json:"policy,omitempty"`
	Path    string `json:"path,omitempty"`
	Problem string `json:"problem"`
	Want    string `json:"want,omitempty"`
}

// Message is what is wrong, with the field.
func (f *Finding) Message() string {
	e := decision.FieldError{Path: f.Path, Problem: f.Problem, Want: f.Want}
	if f.Path == "" {
		return f.Problem
	}
	return e.Error()
}

// Find returns the findings by file and line. Policies without a namespace are in defaultNamespace. A file that cannot be read as
// what it is to be keeps warnings of all of them back. The error is ErrNothing.
func Find(files []manifest.File, defaultNamespace string) ([]Finding, error) {
	set, err := manifest.ParseForCluster(files, defaultNamespace)
	if err != nil {
		return sorted(unreadable(err)), nil
	}
	if len(set.Policies)+len(set.Revocations)+len(set.Secrets)+len(set.ConfigMaps) == 0 {
		return nil, ErrNothing
	}
	var out []Finding
	var checker decision.Checker
	for _, o := range set.Policies {
		err := checker.Check([]decision.Policy{{Namespace: o.Namespace, Name: o.Name, Spec: o.Spec}})
		for _, one := range split(err) {
			out = append(out, placed(set, o.ID(), one))
		}
	}
	for _, f := range set.Findings() {
		file, line := set.Line(f.Policy, f.Path)
		out = append(out, Finding{file, line, Warning, f.Check, f.Policy, f.Path, f.Problem, f.Want})
	}
	return sorted(out), nil
}

func unreadable(err error) (out []Finding) {
	for _, one := range split(err) {
		f := Finding{Level: Error, Check: invalidFile, Problem: one.Error()}
		var e *manifest.Error
		if errors.As(one, &e) {
			f.File, f.Line, f.Path, f.Problem = e.File, e.Line, e.Path, e.Problem
		}
		out = append(out, f)
	}
	return out
}

// placed is a mistake that the compiler of policies found.
func placed(set *manifest.Set, id string, err error) Finding {
	f := Finding{Level: Error, Check: invalidPolicy, Policy: id, Problem: err.Error()}
	var e *decision.FieldError
	if errors.As(err, &e) {
		f.Path, f.Problem, f.Want = e.Path, e.Problem, e.Want
	}
	f.File, f.Line = set.Line(id, f.Path)
	return f
}

// split undoes errors.Join.
func split(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok { //nolint:errorlint // the join itself, and nothing in it
		return joined.Unwrap()
	}
	if err == nil {
		return nil
	}
	return []error{err}
}

func sorted(fs []Finding) []Finding {
	slices.SortStableFunc(fs, func(a, b Finding) int { return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line)) })
	return fs
}

// Count is how many findings there are of a level.
func Count(fs []Finding, l Level) int {
	n := 0
	for i := range fs {
		if fs[i].Level == l {
			n++
		}
	}
	return n
}

// Table writes findings for people.
func Table(w io.Writer, look output.Look, fs []Finding) {
	if len(fs) == 0 {
		output.Printf(w, "%s no findings\n", look.Mark(output.Good))
		return
	}
	t := output.NewTable("PLACE", "LEVEL", "CHECK", "FINDING")
	for i := range fs {
		f := &fs[i]
		style := output.Warn
		if f.Level == Error {
			style = output.Bad
		}
		place := f.File
		if f.Line > 0 {
			place += fmt.Sprintf(":%d", f.Line)
		}
		t.Row(output.Text(place), output.Cell{Text: string(f.Level), Style: style}, output.Text(string(f.Check)), output.Text(f.Message()))
	}
	t.Write(w, look)
	output.Printf(w, "\n%s, %s\n", counted(Count(fs, Error), "error"), counted(Count(fs, Warning), "warning"))
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
