package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bearerguard/bearerguard/api/policy"
)

// TokenRevocation takes back tokens before they expire, for every injected pod of its namespace.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=btr,categories=bearerguard
// +kubebuilder:printcolumn:name="Issuer",type=string,JSONPath=`.spec.issuer`
// +kubebuilder:printcolumn:name="Entries",type=integer,JSONPath=`.status.entries`
// +kubebuilder:printcolumn:name="Programmed",type=string,JSONPath=`.status.conditions[?(@.type=="Programmed")].status`
// +kubebuilder:printcolumn:name="Sidecars",type=string,JSONPath=`.status.sidecars.summary`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type TokenRevocation struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec names the tokens.
	// +required
	Spec policy.Revocation `json:"spec"`

	// Status is what has become of it.
	// +optional
	// +kubebuilder:default:={"observedGeneration":-1}
	Status TokenRevocationStatus `json:"status,omitempty"`
}

// TokenRevocationStatus is what has become of a revocation.
type TokenRevocationStatus struct {
	// ObservedGeneration is the generation that this status speaks of; -1: the controller has not seen the object yet.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// Conditions are Accepted, Programmed and Ready, and Stalled while it is True.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// Entries is how many entries are in force: those that can be used and are not over.
	// +optional
	Entries int32 `json:"entries"`

	// Sidecars counts the pods of the namespace that carry a sidecar by what is known of these.
	// +optional
	Sidecars *SidecarStatus `json:"sidecars,omitempty"`
}

// TokenRevocationList is a list of revocations.
//
// +kubebuilder:object:root=true
type TokenRevocationList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []TokenRevocation `json:"items"`
}
