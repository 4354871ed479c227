package authpolicy

import (
	"encoding/json"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/controllers/revstore"
)

// policyObject is an AuthPolicy, its spec and status not decoded.
type policyObject struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              json.RawMessage `json:"spec,omitempty"`
	Status            json.RawMessage `json:"status,omitempty"`
}

// DeepCopyObject returns a copy.
func (p *policyObject) DeepCopyObject() runtime.Object {
	out := &policyObject{TypeMeta: p.TypeMeta, Spec: slices.Clone(p.Spec), Status: slices.Clone(p.Status)}
	p.ObjectMeta.DeepCopyInto(&out.ObjectMeta)
	return out
}

// policyObjects is a list of policies.
type policyObjects struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []policyObject `json:"items"`
}

// DeepCopyObject returns a copy.
func (l *policyObjects) DeepCopyObject() runtime.Object {
	out := &policyObjects{TypeMeta: l.TypeMeta, Items: make([]policyObject, len(l.Items))}
	l.ListMeta.DeepCopyInto(&out.ListMeta)
	for i := range l.Items {
		out.Items[i] = *l.Items[i].DeepCopyObject().(*policyObject)
	}
	return out
}

// revocationObject is a TokenRevocation, its spec in brief and its status not decoded.
type revocationObject struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              revocationSpec  `json:"spec"`
	Status            json.RawMessage `json:"status,omitempty"`
}

// DeepCopyObject returns a copy.
func (r *revocationObject) DeepCopyObject() runtime.Object {
	out := &revocationObject{TypeMeta: r.TypeMeta, Spec: r.Spec, Status: slices.Clone(r.Status)}
	r.ObjectMeta.DeepCopyInto(&out.ObjectMeta)
	return out
}

// revocationObjects is a list of revocations.
type revocationObjects struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []revocationObject `json:"items"`
}

// DeepCopyObject returns a copy.
func (l *revocationObjects) DeepCopyObject() runtime.Object {
	out := &revocationObjects{TypeMeta: l.TypeMeta, Items: make([]revocationObject, len(l.Items))}
	l.ListMeta.DeepCopyInto(&out.ListMeta)
	for i := range l.Items {
		out.Items[i] = *l.Items[i].DeepCopyObject().(*revocationObject)
	}
	return out
}

// scheme knows the objects of this package under their kinds in the API.
func scheme() *runtime.Scheme {
	s := runtime.NewScheme()
	gv := v1alpha1.GroupVersion
	s.AddKnownTypeWithName(gv.WithKind("AuthPolicy"), &policyObject{})
	s.AddKnownTypeWithName(gv.WithKind("AuthPolicyList"), &policyObjects{})
	s.AddKnownTypeWithName(gv.WithKind("TokenRevocation"), &revocationObject{})
	s.AddKnownTypeWithName(gv.WithKind("TokenRevocationList"), &revocationObjects{})
	s.AddKnownTypeWithName(gv.WithKind("RevocationChunk"), &revstore.Object{})
	s.AddKnownTypeWithName(gv.WithKind("RevocationChunkList"), &revstore.Objects{})
	metav1.AddToGroupVersion(s, gv)
	s.AddKnownTypes(networkingv1.SchemeGroupVersion, &networkingv1.NetworkPolicy{}, &networkingv1.NetworkPolicyList{})
	metav1.AddToGroupVersion(s, networkingv1.SchemeGroupVersion)
	return s
}
