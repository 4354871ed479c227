package clustercheck

import "slices"

// rights are verbs on resources, in a namespace or anywhere.
func rights(namespace string, verbs []string, resources ...string) []Right {
	var out []Right
	for _, r := range resources {
		for _, v := range verbs {
			out = append(out, Right{Verb: v, Resource: r, Namespace: namespace})
		}
	}
	return out
}

// ToInstall are the rights of who installs the chart. The last one spares holding all rights that the chart's roles give.
func ToInstall(namespace string) []Right {
	return append(slices.Concat(
		rights("", []string{"create"}, "namespaces"),
		rights("", []string{"get", "create", "patch"},
			"customresourcedefinitions.apiextensions.k8s.io",
			"clusterroles.rbac.authorization.k8s.io", "clusterrolebindings.rbac.authorization.k8s.io",
			"mutatingwebhookconfigurations.admissionregistration.k8s.io", "validatingwebhookconfigurations.admissionregistration.k8s.io",
			"validatingadmissionpolicies.admissionregistration.k8s.io", "validatingadmissionpolicybindings.admissionregistration.k8s.io",
		),
		rights(namespace, []string{"create"},
			"serviceaccounts", "services", "configmaps", "secrets", "deployments.apps", "roles.rbac.authorization.k8s.io", "rolebindings.rbac.authorization.k8s.io",
			"poddisruptionbudgets.policy", "networkpolicies.networking.k8s.io",
		),
	), Right{Verb: "escalate", Resource: "clusterroles.rbac.authorization.k8s.io", Optional: true})
}

// OfController are the rights without which the controller does not work, however the chart's values are set.
func OfController(namespace string) []Right {
	return slices.Concat(
		rights("", []string{"get", "list", "watch"},
			"authpolicies.bearerguard.dev", "tokenrevocations.bearerguard.dev", "revocationsources.bearerguard.dev", "pods", "serviceaccounts", "namespaces"),
		rights("", []string{"patch"}, "authpolicies/status.bearerguard.dev", "tokenrevocations/status.bearerguard.dev", "revocationsources/status.bearerguard.dev"),
		rights("", []string{"list", "watch", "create", "update", "delete"}, "revocationchunks.bearerguard.dev"),
		rights("", []string{"get", "watch"}, "configmaps"),
		rights("", []string{"create"}, "tokenreviews.authentication.k8s.io", "subjectaccessreviews.authorization.k8s.io", "events.events.k8s.io"),
		rights(namespace, []string{"get", "create", "update"}, "leases.coordination.k8s.io"),
		rights(namespace, []string{"create"}, "secrets"),
	)
}
