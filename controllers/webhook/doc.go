// Package webhook has the admission shells: they decode a request, call a pure core, and answer.
//
//	/mutate-pods                  inject.Inject
//	/mutate-workloads             inject.CopyToTemplate, then inject.Inject on the template to find mistakes early
//	/validate-authpolicies        decision.Checker, the sidecar's own compiler: an accepted policy is a loadable one
//	/validate-tokenrevocations    policy.Revocation.Validate
//	/validate-namespaces          inject.CheckNamespace: defaults for the namespace's pods
//
// Which objects get here is decided by the webhook configurations (config/webhook, charts/bearerguard): pods that did not
// ask for a sidecar never depend on this package, and those that did are refused while it is down.
//
// A patch touches only what injection changes, computed from the object's own shape: fields of a newer Kubernetes that
// this program does not know stay as they are.
package webhook
