package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bearerguard/bearerguard/api/policy"
)

// AuthPolicy says which requests reach the pods that it selects, by the Bearer token that they carry.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=bap,categories=bearerguard
// +kubebuilder:printcolumn:name="Mode",type=string,JSONPath=`.spec.mode`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Keys",type=string,JSONPath=`.status.conditions[?(@.type=="ResolvedRefs")].status`
// +kubebuilder:printcolumn:name="Sidecars",type=string,JSONPath=`.status.sidecars.summary`
// +kubebuilder:printcolumn:name="Missing",type=integer,JSONPath=`.status.sidecars.missing`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Reason",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
type AuthPolicy struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is what the policy asks for.
	// +required
	Spec AuthPolicySpec `json:"spec"`

	// Status is what has become of it.
	// +optional
	// +kubebuilder:default:={"observedGeneration":-1}
	Status AuthPolicyStatus `json:"status,omitempty"`
}

// AuthPolicySpec is a selector and the policy for the pods it selects.
type AuthPolicySpec struct {
	// Selector selects pods of the policy's namespace by their labels. Omitted or empty: every injected pod.
	// +optional
	Selector policy.Selector `json:"selector,omitempty"`

	// NetworkPolicy has the controller make NetworkPolicies that let others in to the sidecar's own ports alone, for selected pods
	// in capture mode "ports", where an app may listen for more than its sidecar. They work where the cluster's network enforces
	// NetworkPolicies, and are made by installations that allow it (rbac.networkPolicies of the chart), in Enforce mode.
	// +optional
	NetworkPolicy bool `json:"networkPolicy,omitempty"`

	policy.Spec `json:",inline"`
}

// AuthPolicyStatus is what has become of a policy.
type AuthPolicyStatus struct {
	// ObservedGeneration is the generation that this status speaks of; -1: the controller has not seen the object yet.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// Conditions are Accepted, ResolvedRefs, Programmed, Guarded, Saved and Ready, and Stalled while it is True.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// Issuers tells of each issuer's keys.
	// +optional
	// +listType=map
	// +listMapKey=name
	Issuers []IssuerStatus `json:"issuers,omitempty"`

	// Sidecars counts the selected pods by what is known of their sidecars.
	// +optional
	Sidecars *SidecarStatus `json:"sidecars,omitempty"`
}

// IssuerStatus tells of one issuer's keys.
type IssuerStatus struct {
	// Name of the issuer in the policy.
	// +required
	Name string `json:"name"`

	// Keys is the number of usable keys.
	// +optional
	Keys int32 `json:"keys"`

	// State is Current if the keys are those that the source has, Stale if the source cannot be read and the last good keys
	// stay in use, Missing if there are none.
	// +optional
	State KeyState `json:"state,omitempty"`

	// LastFetched is when the keys were last read with success.
	// +optional
	LastFetched *metav1.Time `json:"lastFetched,omitempty"`

	// PodsWithoutKeys is how many connected sidecars say that they have no keys of the issuer, and so answer its tokens 503.
	// +optional
	PodsWithoutKeys int32 `json:"podsWithoutKeys,omitempty"`

	// Message says what is wrong with the keys; empty if nothing is.
	// +optional
	Message string `json:"message,omitempty"`
}

// KeyState is how the controller stands to the keys of an issuer.
// +kubebuilder:validation:Enum=Current;Stale;Missing
type KeyState string

// The states of keys.
const (
	KeysCurrent KeyState = "Current"
	KeysStale   KeyState = "Stale"
	KeysMissing KeyState = "Missing"
)

// SidecarStatus counts live pods by what is known of their sidecars. What Total counts and the others do not has not
// acknowledged this generation yet.
type SidecarStatus struct {
	// Total is the number of live pods that are to be guarded, with a sidecar or without.
	// +optional
	Total int32 `json:"total"`

	// Current is how many of them have a sidecar that uses this generation.
	// +optional
	Current int32 `json:"current"`

	// Rejecting is how many of them have a sidecar that refused it; the cause is in the condition Programmed.
	// +optional
	Rejecting int32 `json:"rejecting"`

	// Disconnected is how many of them have a sidecar that is out of touch with the controller: it goes on with what it has,
	// or does not run.
	// +optional
	Disconnected int32 `json:"disconnected"`

	// Missing is how many of them have no sidecar: nothing guards them.
	// +optional
	Missing int32 `json:"missing"`

	// Summary is "current/total", for the printed column.
	// +optional
	Summary string `json:"summary,omitempty"`
}

// AuthPolicyList is a list of policies.
//
// +kubebuilder:object:root=true
type AuthPolicyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []AuthPolicy `json:"items"`
}
