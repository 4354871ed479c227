// Package policy is the schema of a policy as plain Go data.
//
// It is the one model of the project: the Kubernetes object (api/v1alpha1) embeds it, the wire (api/bundle) carries it
// as JSON, and the compiler (api/decision) gives it its meaning. It imports nothing but the standard library, so that
// the sidecar can use it without any of Kubernetes.
//
// A missing list means "no restriction from this field"; an empty list is a mistake and is refused by
// decision.Compile and by the CustomResourceDefinition alike.
//
// +kubebuilder:object:generate=true
package policy
