package cell

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/bearerguard/bearerguard/api/printable"
	"github.com/bearerguard/bearerguard/api/v1alpha1"
)

// maxRevision bounds a revision's name, in bytes: it ends names of objects.
const maxRevision = 32

// separator is between version and revision in the mark of a pod. No revision has it.
const separator = "@"

// Cell is a part of a cluster. The zero Cell is all of it, served by a release without a revision.
type Cell struct {
	revision string
	selector labels.Selector // nil: every namespace
}

// New returns the cell of the namespaces that a label selector such as "bearerguard.dev/revision=blue" selects; no selector is all of
// them. A revision is the name by which cluster-wide objects of the release are told from those of others; "" is the default one. The error
// says what is wrong with either.
func New(revision, selector string) (Cell, error) {
	if err := CheckRevision(revision); revision != "" && err != nil {
		return Cell{}, err
	}
	c := Cell{revision: revision}
	if selector == "" {
		return c, nil
	}
	s, err := labels.Parse(selector)
	if err != nil {
		return Cell{}, fmt.Errorf("%q is no label selector: %w; want such as %s=blue", printable.Text(selector, 256), err, v1alpha1.LabelRevision)
	}
	c.selector = s
	return c, nil
}

// CheckRevision returns what is wrong with the name of a revision; nil: nothing.
func CheckRevision(revision string) error {
	if len(revision) > maxRevision || len(validation.IsDNS1123Label(revision)) > 0 {
		return fmt.Errorf("revision %q is no name; want at most %d lower-case letters, digits and dashes, with none at the ends", printable.Text(revision, 64), maxRevision)
	}
	return nil
}

// All reports whether the cell is the whole cluster.
func (c Cell) All() bool { return c.selector == nil || c.selector.Empty() }

// Owns reports whether a namespace with these labels is of the cell.
func (c Cell) Owns(namespace map[string]string) bool {
	return c.All() || c.selector.Matches(labels.Set(namespace))
}

// Name is what an object that is called base in the default release is called in this one, where names are of the whole cluster.
func (c Cell) Name(base string) string {
	if c.revision == "" {
		return base
	}
	return base + "-" + c.revision
}

// Mark is what a pod is marked with that this release injects.
func (c Cell) Mark(version string) string {
	if c.revision == "" {
		return version
	}
	return version + separator + c.revision
}

// Injected reports whether a pod with this mark was injected by this release, or by one of another version and the same revision.
func (c Cell) Injected(mark string) bool {
	revision := ""
	if i := strings.LastIndex(mark, separator); i >= 0 {
		revision = mark[i+len(separator):]
	}
	return revision == c.revision
}

// Refusal says why a namespace with these labels is not served.
func (c Cell) Refusal(namespace string, of map[string]string) error {
	says := "is missing"
	if v, ok := of[v1alpha1.LabelRevision]; ok {
		says = fmt.Sprintf("says %q", v)
	}
	return fmt.Errorf("this release (%s) does not serve namespace %s; its label %s %s", c, namespace, v1alpha1.LabelRevision, says)
}

// String names the release.
func (c Cell) String() string {
	if c.revision == "" {
		return "the default one"
	}
	return "revision " + c.revision
}
