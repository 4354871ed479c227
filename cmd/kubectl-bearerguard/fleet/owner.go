package fleet

import corev1 "k8s.io/api/core/v1"

// Owner names what a pod belongs to, as kubectl would be told of it: "deploy/orders", or "pod/orders-0" without one.
func Owner(p *corev1.Pod) string { return owner(p) }

// Lives reports whether a pod is neither over nor about to be deleted.
func Lives(p *corev1.Pod) bool {
	return p.DeletionTimestamp == nil && p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed
}
