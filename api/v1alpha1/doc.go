// Package v1alpha1 has the Kubernetes objects of the group bearerguard.dev: AuthPolicy, TokenRevocation, RevocationSource and
// RevocationChunk, their conditions, and the names of annotations and labels. What a policy says is in package policy; what it means is in
// package decision.
//
// +kubebuilder:object:generate=true
// +groupName=bearerguard.dev
package v1alpha1
