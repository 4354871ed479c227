package convert

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/lint"
	"github.com/bearerguard/bearerguard/api/policy"
)

// File is a source.
type File struct {
	Name string
	Data []byte
}

// Options say what files leave open.
type Options struct {
	// Namespace of objects that name none. Policies of the root namespace are written for it too.
	Namespace string
	// RootNamespace is the mesh's, whose policies hold in all namespaces. Default: istio-system.
	RootNamespace string
	// Selector is the labels of the pods, where the files do not say which they are.
	Selector map[string]string
	// From says of which proxy command lines are that do not tell it: "oauth2-proxy" or "kube-rbac-proxy".
	From string
	// ClusterIssuer is the issuer of the cluster's service-account tokens.
	ClusterIssuer string
	// ClientID is the audience of an OpenID provider's tokens, where the files have it in a Secret.
	ClientID string
	// AllowAuthenticated adds a rule that lets in every user of an AuthenticationConfiguration.
	AllowAuthenticated bool
}

// Result is what came of the files.
type Result struct {
	Policies []Policy `json:"policies"`
	Notes    []Note   `json:"notes"`
}

// Policy is an AuthPolicy.
type Policy struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Metadata   Metadata `json:"metadata"`
	Spec       Spec     `json:"spec"`
}

// Metadata names an object.
type Metadata struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace,omitempty"`
}

// Spec is that of an AuthPolicy.
type Spec struct {
	Selector policy.Selector `json:"selector,omitzero"`
	policy.Spec
}

// Run converts files. An error, a *RefusedError, says why nothing is converted.
func Run(files []File, o Options) (Result, error) {
	o.RootNamespace = cmp.Or(o.RootNamespace, "istio-system")
	o.Namespace = cmp.Or(o.Namespace, "default")
	var notes []Note
	policies, err := read(files, o, &notes)
	if err != nil {
		return Result{}, err
	}
	slices.SortStableFunc(policies, func(a, b Policy) int {
		return cmp.Or(strings.Compare(a.Metadata.Namespace, b.Metadata.Namespace), strings.Compare(a.Metadata.Name, b.Metadata.Name))
	})
	for i := range policies {
		if err := finish(&policies[i], &notes); err != nil {
			return Result{}, err
		}
	}
	return Result{Policies: policies, Notes: sortNotes(notes)}, nil
}

// converter is what reads the objects of one source.
type converter interface {
	// takes reports whether an object is a policy of the source, which is then read.
	takes(x *object) (bool, error)
	// policies converts what was read.
	policies() ([]Policy, error)
}

// read reads all files and converts the one source that they are of.
func read(files []File, o Options, notes *[]Note) ([]Policy, error) {
	in := newInput(o, notes)
	for _, f := range files {
		if err := in.file(f); err != nil {
			return nil, err
		}
	}
	for _, x := range in.objects.all {
		if err := in.object(x); err != nil {
			return nil, err
		}
	}
	if err := in.configure(); err != nil {
		return nil, err
	}
	if err := oneSource(in.found); err != nil {
		return nil, err
	}
	var policies []Policy
	if len(in.found) > 0 {
		var err error
		if policies, err = in.sources[in.found[0].source].policies(); err != nil {
			return nil, err
		}
	}
	in.objects.leftOut()
	return policies, nil
}

// finish holds a policy to what a sidecar takes, and notes what the linter says of it.
func finish(p *Policy, notes *[]Note) error {
	p.APIVersion, p.Kind = "bearerguard.dev/v1alpha1", "AuthPolicy"
	id := p.Metadata.Namespace + "/" + p.Metadata.Name
	if err := errors.Join(p.Spec.Selector.Validate("spec.selector"), compiles(p.Spec.Spec)); err != nil {
		return &RefusedError{File: "result", Field: id, Why: err.Error()}
	}
	for _, f := range lint.Policy(&p.Spec.Spec, decision.ExpressionHints) {
		*notes = append(*notes, Note{File: "result", Object: "AuthPolicy " + id, Field: f.Path, Effect: Differs, Reason: f.Problem})
	}
	return nil
}

// compiles returns what a sidecar has against a policy.
func compiles(spec policy.Spec) error {
	_, err := decision.Compile([]decision.Policy{{Spec: spec}})
	return err
}

// names gives names that are unique.
type names map[string]bool

// unique makes a name of a text: lower case, digits and "-", at most 63 bytes.
func (n names) unique(text string) string {
	var b strings.Builder
	for _, c := range []byte(strings.ToLower(text)) {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
			b.WriteByte(c)
		} else if b.Len() > 0 && !strings.HasSuffix(b.String(), "-") {
			b.WriteByte('-')
		}
	}
	base := strings.Trim(b.String()[:min(b.Len(), 54)], "-")
	base = cmp.Or(base, "converted")
	name := base
	for i := 2; n[name]; i++ {
		name = fmt.Sprintf("%s-%d", base, i)
	}
	n[name] = true
	return name
}
