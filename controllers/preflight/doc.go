// Package preflight looks, before the controller starts, whether the cluster has what the controller needs: a version of Kubernetes with native
// sidecar containers, and its CustomResourceDefinitions. Helm cannot look for it: whatever renders the chart without a cluster, as GitOps tools
// do, would come to other manifests than whatever asks one.
//
// What may come a moment later, as when one sync applies everything at once, is waited for. What makes a release less safe without
// keeping it from its work is told of again and again instead (Guard): sidecars, and pods that need one, must not suffer for it.
package preflight
