package revstore

import (
	"encoding/json"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/bearerguard/bearerguard/api/revoked"
	"github.com/bearerguard/bearerguard/api/v1alpha1"
)

// Object is a RevocationChunk as caches hold it: its entries ready for use.
type Object struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              Chunk `json:"spec"`
}

// Chunk is what is in an object.
type Chunk struct {
	Source    string
	Entries   revoked.List // shared: not to be changed
	LastEvent time.Time    // zero: none
}

var _ json.Unmarshaler = (*Chunk)(nil)

// UnmarshalJSON never fails: one object that cannot be read must not keep all the others from being listed.
func (c *Chunk) UnmarshalJSON(raw []byte) error {
	var spec v1alpha1.RevocationChunkSpec
	*c = Chunk{}
	if json.Unmarshal(raw, &spec) != nil {
		return nil //nolint:nilerr // see above
	}
	c.Source, c.Entries = spec.Source, revoked.ReadList(spec.Entries)
	if spec.LastEvent != nil {
		c.LastEvent = spec.LastEvent.Time
	}
	return nil
}

// DeepCopyObject returns a copy that shares the entries.
func (o *Object) DeepCopyObject() runtime.Object {
	out := &Object{TypeMeta: o.TypeMeta, Spec: o.Spec}
	o.ObjectMeta.DeepCopyInto(&out.ObjectMeta)
	return out
}

// Owner returns the UID of the RevocationSource that a chunk is of; empty: none.
func (o *Object) Owner() string {
	for _, r := range o.OwnerReferences {
		if r.Kind == sourceKind {
			return string(r.UID)
		}
	}
	return ""
}

// Objects is a list of chunks.
type Objects struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Object `json:"items"`
}

// DeepCopyObject returns a copy.
func (l *Objects) DeepCopyObject() runtime.Object {
	out := &Objects{TypeMeta: l.TypeMeta, Items: make([]Object, len(l.Items))}
	l.ListMeta.DeepCopyInto(&out.ListMeta)
	for i := range l.Items {
		out.Items[i] = *l.Items[i].DeepCopyObject().(*Object)
	}
	return out
}

const sourceKind = "RevocationSource"

// Source names a RevocationSource, that one and none of the same name.
type Source struct{ Namespace, Name, UID string }
