package openapi

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/lint"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/convert"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/ruleset"
)

// Effect is what became of a part of the document that did not come over as it was.
type Effect = convert.Effect

// The effects.
const (
	LeftOut  = convert.LeftOut
	Stricter = convert.Stricter
	Differs  = convert.Differs
)

// Note says of one place in the document what became of it.
type Note = convert.Note

// Open is an operation that the document lets anybody call.
type Open struct {
	File      string `json:"file"`
	Line      int    `json:"line"`
	Operation string `json:"operation"` // "GET /health (health)"
	// Optional says that a token may be brought, and what it lets in is in a rule; otherwise nothing is asked for.
	Optional bool `json:"optional,omitempty"`
	// Allowed says that it is let in without a token, as Options.Anonymous has it; otherwise it is refused.
	Allowed bool `json:"allowed"`
}

// String is the line that tells of it.
func (o Open) String() string {
	what := "asks for nothing"
	if o.Optional {
		what = "does not insist on a token"
	}
	then := "refused without one; to let it in, give --anonymous " + quote(o.Operation)
	if o.Allowed {
		then = "let in without one, as was asked for"
	}
	return fmt.Sprintf("%s:%d: %s: %s: %s", o.File, o.Line, o.Operation, what, then)
}

// quote returns what names an operation to --anonymous.
func quote(operation string) string {
	if _, id, ok := strings.Cut(operation, " ("); ok {
		return strings.TrimSuffix(id, ")")
	}
	return "'" + operation + "'"
}

// Result is what came of a document.
type Result struct {
	Policies []convert.Policy `json:"policies"`
	// Operations is how many the document has, and Covered how many of them a rule is for.
	Operations int `json:"operations"`
	Covered    int `json:"covered"`
	// Open are those that ask for no token.
	Open  []Open `json:"open"`
	Notes []Note `json:"notes"`

	comments map[string]string // of rules
}

// Complete reports whether everything is let in that the document lets in.
func (r *Result) Complete() bool {
	return !slices.ContainsFunc(r.Open, func(o Open) bool { return !o.Allowed }) &&
		!slices.ContainsFunc(r.Notes, func(n Note) bool { return n.Effect != Differs })
}

// Generate makes policies of a document: one, unless it has more rules than a policy may have. They let in no more than the document says,
// and nothing without a token but what Options.Anonymous names. read returns the file of a name that is relative to the document's
// directory. An error, often a *RefusedError, says why nothing is made, and what to do.
func Generate(name string, read func(name string) ([]byte, error), o Options) (Result, error) {
	d := &document{options: o, files: &files{read: read, known: map[string]node{}}, names: ruleset.Names{}, asked: map[string]string{}}
	var err error
	if d.root, err = d.files.load(name); err != nil {
		return Result{}, err
	}
	if err := d.readAll(); err != nil {
		return Result{}, err
	}
	if len(d.missing) > 0 {
		return Result{}, joined(d.missing)
	}
	if err := d.open(); err != nil {
		return Result{}, err
	}
	return d.result()
}

// joined is errors without those that are said twice.
func joined(all []error) error {
	var out []error
	for _, err := range all {
		if !slices.ContainsFunc(out, func(e error) bool { return e.Error() == err.Error() }) {
			out = append(out, err)
		}
	}
	return errors.Join(out...)
}

func (d *document) note(n node, e Effect, format string, args ...any) {
	d.notes = append(d.notes, Note{File: n.file, Line: n.line(), Field: n.path, Effect: e, Reason: fmt.Sprintf(format, args...)})
}

// told notes something of an operation.
func (d *document) told(o *operation, e Effect, format string, args ...any) {
	d.notes = append(d.notes, Note{File: o.node.file, Line: o.node.line(), Object: o.name(), Effect: e, Reason: fmt.Sprintf(format, args...)})
}

func (d *document) result() (Result, error) {
	r := Result{Operations: len(d.operations), Open: []Open{}, comments: map[string]string{}}
	all, of := d.callers()
	made := ruleset.Rules(all, ruleset.Names{})
	for _, i := range made.Crowded {
		o := &d.operations[of[i]]
		d.told(o, LeftOut, "too many other paths overlap with its path")
	}
	for i, doubts := range made.Doubts {
		d.told(&d.operations[of[i]], Stricter, "not where %s fits too: which of the two counts there is not said", strings.Join(doubts, ", "))
	}
	covered := map[int]bool{}
	for _, rule := range made.Rules {
		var names []string
		for _, i := range rule.Operations {
			covered[of[i]] = true
			o := &d.operations[of[i]]
			names = append(names, cmp.Or(o.id, o.name()))
		}
		r.comments[rule.Name] = strings.Join(slices.Compact(names), ", ")
	}
	r.Covered = len(covered)
	for i := range d.operations {
		if o := &d.operations[i]; o.asks.open {
			r.Open = append(r.Open, Open{o.node.file, o.node.line(), o.name(), len(o.asks.who) > 0, o.opened && covered[i]})
		}
	}
	if err := d.policies(&r, made.Rules); err != nil {
		return Result{}, err
	}
	slices.SortStableFunc(d.notes, func(a, b Note) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Field, b.Field), cmp.Compare(a.Reason, b.Reason))
	})
	r.Notes = slices.Compact(d.notes)
	return r, nil
}

// callers returns the operations as rules are made of them, and which of the document's each is.
func (d *document) callers() (all []ruleset.Operation, of []int) {
	for i := range d.operations {
		o := &d.operations[i]
		who := o.asks.who
		if o.opened {
			who = []ruleset.Who{{Anonymous: true}}
		}
		if lost := strings.Join(slices.Compact(slices.Sorted(slices.Values(o.asks.lost))), "; "); lost != "" && !o.opened {
			effect := Stricter
			if len(who) == 0 {
				effect = LeftOut
			}
			d.told(o, effect, "%s", lost)
		}
		for _, p := range o.at {
			whoHere := who
			if p.err != nil {
				whoHere = nil
				d.told(o, LeftOut, "its path %s", p.err)
			}
			all = append(all, ruleset.Operation{Method: o.method, Path: p.path, Who: whoHere, ID: o.id, Tags: o.tags})
			of = append(of, i)
		}
	}
	d.contradictions(all, of)
	return all, of
}

// contradictions leaves out operations that come twice, under other names of variables or below the base path of another, and do not let in
// the same: which of them a server means is not known.
func (d *document) contradictions(all []ruleset.Operation, of []int) {
	first := map[string]int{}
	bad := map[string]bool{}
	for i := range all {
		key := all[i].Method + " " + all[i].Path.Template(false)
		if j, ok := first[key]; ok && !all[i].Same(&all[j]) {
			bad[key] = true
		} else if !ok {
			first[key] = i
		}
	}
	for i := range all {
		if key := all[i].Method + " " + all[i].Path.Template(false); bad[key] {
			all[i].Who = nil
			d.told(&d.operations[of[i]], LeftOut, "another path that fits the same asks for something else")
		}
	}
}

const mostRules = 256 // of a policy

// policies writes rules into as few policies as there can be.
func (d *document) policies(r *Result, rules []ruleset.Rule) error {
	name, namespace, err := d.identity()
	if err != nil {
		return err
	}
	for from := 0; from == 0 || from < len(rules); from += mostRules {
		p := convert.Policy{APIVersion: "bearerguard.dev/v1alpha1", Kind: "AuthPolicy", Metadata: convert.Metadata{Name: name, Namespace: namespace}}
		if from > 0 {
			p.Metadata.Name = fmt.Sprintf("%s-%d", name, from/mostRules+1)
		}
		p.Spec.Mode = d.options.Mode
		p.Spec.Selector.MatchLabels = d.options.Labels
		used := map[string]bool{}
		for _, rule := range rules[from:min(from+mostRules, len(rules))] {
			if a := rule.Allow; len(d.issuers) == 1 {
				a.Issuers = nil
				a.Authenticated = !a.Anonymous && !a.AsksToken()
				used[d.issuers[0].Name] = used[d.issuers[0].Name] || !a.Anonymous
			}
			for _, name := range rule.Allow.Issuers {
				used[name] = true
			}
			p.Spec.Rules = append(p.Spec.Rules, rule.Rule)
		}
		p.Spec.Issuers = slices.DeleteFunc(slices.Clone(d.issuers), func(is policy.Issuer) bool { return !used[is.Name] })
		if len(p.Spec.Issuers) == 0 {
			p.Spec.Issuers = nil
		}
		if err := d.finish(&p); err != nil {
			return err
		}
		r.Policies = append(r.Policies, p)
	}
	return nil
}

func (d *document) identity() (name, namespace string, err error) {
	info, err := d.root.field("info")
	if err != nil {
		return "", "", err
	}
	title, err := info.text("title")
	if err != nil {
		return "", "", err
	}
	return cmp.Or(d.options.Name, ruleset.Names{}.Unique(title, "api")), cmp.Or(d.options.Namespace, "default"), nil
}

// finish holds a policy to what a sidecar takes, and notes what the linter says of it.
func (d *document) finish(p *convert.Policy) error {
	_, err := decision.Compile([]decision.Policy{{Spec: p.Spec.Spec}})
	if err := errors.Join(p.Spec.Selector.Validate("spec.selector"), err); err != nil {
		return fmt.Errorf("what came of the document is no policy: %w", err)
	}
	for _, f := range lint.Policy(&p.Spec.Spec, decision.ExpressionHints) {
		d.notes = append(d.notes, Note{File: "result", Object: "AuthPolicy " + p.Metadata.Namespace + "/" + p.Metadata.Name, Field: f.Path, Effect: Differs, Reason: f.Problem})
	}
	return nil
}

// Write writes policies as YAML documents, below comments that say what there is to know.
func Write(w io.Writer, r *Result) error {
	var documents []ruleset.Document
	for _, p := range r.Policies {
		documents = append(documents, ruleset.Document{Object: p, Rules: r.comments})
	}
	return ruleset.Write(w, r.Lines(), documents)
}

// Lines are what there is to know: a summary, the open operations, the notes.
func (r *Result) Lines() []string {
	rules := 0
	for _, p := range r.Policies {
		rules += len(p.Spec.Rules)
	}
	refused := 0
	out := []string{""}
	for _, o := range r.Open {
		if !o.Allowed {
			refused++
		}
		out = append(out, o.String())
	}
	for _, n := range r.Notes {
		out = append(out, n.String())
	}
	out[0] = fmt.Sprintf("%d of %d operations, in %d rules", r.Covered, r.Operations, rules)
	switch {
	case refused == 1:
		out[0] += "; 1 asks for no token, and is refused without one"
	case refused > 1:
		out[0] += fmt.Sprintf("; %d ask for no token, and are refused without one", refused)
	}
	return out
}
