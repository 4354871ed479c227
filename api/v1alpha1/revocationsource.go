package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bearerguard/bearerguard/api/policy"
)

// RevocationSource has an identity provider take tokens back by itself, for every injected pod of its namespace.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=brs,categories=bearerguard
// +kubebuilder:printcolumn:name="Issuer",type=string,JSONPath=`.spec.issuer`
// +kubebuilder:printcolumn:name="Endpoint",type=string,JSONPath=`.status.endpoint`
// +kubebuilder:printcolumn:name="Entries",type=integer,JSONPath=`.status.entries`
// +kubebuilder:printcolumn:name="Connected",type=string,JSONPath=`.status.conditions[?(@.type=="Connected")].status`
// +kubebuilder:printcolumn:name="Programmed",type=string,JSONPath=`.status.conditions[?(@.type=="Programmed")].status`
// +kubebuilder:printcolumn:name="Sidecars",type=string,JSONPath=`.status.sidecars.summary`
// +kubebuilder:printcolumn:name="Last Event",type=date,JSONPath=`.status.lastEvent`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type RevocationSource struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is who tells, and how.
	// +required
	Spec policy.RevocationSource `json:"spec"`

	// Status is what has become of it.
	// +optional
	// +kubebuilder:default:={"observedGeneration":-1}
	Status RevocationSourceStatus `json:"status,omitempty"`
}

// RevocationSourceStatus is what has become of a source.
type RevocationSourceStatus struct {
	// ObservedGeneration is the generation that this status speaks of; -1: the controller has not seen the object yet.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// Conditions are Accepted, ResolvedRefs, Connected, Programmed and Ready, and Stalled while it is True. Programmed speaks of the entries that this status counts: every sidecar
	// of the namespace uses them.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// Endpoint is the path that the provider posts to, on the Service bearerguard-events.
	// +optional
	Endpoint string `json:"endpoint,omitempty"`

	// Entries is how many entries are kept of what the provider has taken back. It is brought up to date every few seconds.
	// +optional
	Entries int32 `json:"entries"`

	// Sidecars counts the pods of the namespace that carry a sidecar by what is known of these; current are those that use all entries.
	// +optional
	Sidecars *SidecarStatus `json:"sidecars,omitempty"`

	// LastEvent is when the last event came that was kept, to a minute or so.
	// +optional
	LastEvent *metav1.Time `json:"lastEvent,omitempty"`
}

// RevocationSourceList is a list of sources.
//
// +kubebuilder:object:root=true
type RevocationSourceList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []RevocationSource `json:"items"`
}

// RevocationChunk is a part of what a RevocationSource has been told. The controller alone makes, merges and deletes chunks; they go with
// their source, which owns them. What is in one are hashes, of which no token or user can be read.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:shortName=brk
// +kubebuilder:printcolumn:name="Source",type=string,JSONPath=`.spec.source`
// +kubebuilder:printcolumn:name="Last Event",type=date,JSONPath=`.spec.lastEvent`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type RevocationChunk struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is the part.
	// +required
	Spec RevocationChunkSpec `json:"spec"`
}

// RevocationChunkSpec is a part of what a source has been told.
type RevocationChunkSpec struct {
	// Source is the name of the RevocationSource.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Source string `json:"source"`

	// Entries are 20 bytes each: 12 of a hash of kind, issuer and value, and two times in seconds since 1970.
	// +optional
	// +kubebuilder:validation:MaxLength=1000000
	Entries []byte `json:"entries,omitempty"`

	// LastEvent is when the newest of the events came.
	// +optional
	LastEvent *metav1.MicroTime `json:"lastEvent,omitempty"`
}

// RevocationChunkList is a list of chunks.
//
// +kubebuilder:object:root=true
type RevocationChunkList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []RevocationChunk `json:"items"`
}
