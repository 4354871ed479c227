package inject

import "fmt"

// Reason says, in one word, why a pod was or was not injected. The set is closed; a Reason is safe as a metric label.
type Reason string

// The reasons of a Result.
const (
	// Injected: the pod now carries the sidecar.
	Injected Reason = "Injected"
	// AlreadyInjected: the pod carried the very same sidecar before; nothing was changed.
	AlreadyInjected Reason = "AlreadyInjected"
	// NotAsked: neither the pod nor its namespace asks for injection.
	NotAsked Reason = "NotAsked"
	// Disabled: the pod says bearerguard.dev/inject=disabled.
	Disabled Reason = "Disabled"
	// ExcludedNamespace: the namespace runs the cluster or the control plane and is never injected.
	ExcludedNamespace Reason = "ExcludedNamespace"
	// HostNetwork: the pod shares the node's network, which a sidecar cannot guard. It is refused, whoever asked.
	HostNetwork Reason = "HostNetwork"
	// StaticPod: the pod mirrors one that a kubelet runs from a file and cannot be changed. It is refused if it asks for
	// itself.
	StaticPod Reason = "StaticPod"
	// Windows: the pod runs on Windows, for which there is no sidecar. It is refused, whoever asked.
	Windows Reason = "Windows"
)

// Sentence returns what people read: the reason in words, without a full stop.
func (r Reason) Sentence() string {
	switch r {
	case Injected:
		return "the sidecar was added"
	case AlreadyInjected:
		return "the sidecar was there already"
	case NotAsked:
		return "neither the pod nor its namespace asks for the sidecar"
	case Disabled:
		return "the pod says disabled"
	case ExcludedNamespace:
		return "pods of this namespace are never injected"
	case HostNetwork:
		return "the pod uses the node's network, which a sidecar cannot guard"
	case StaticPod:
		return "the pod is a static pod of a node, which cannot be changed"
	case Windows:
		return "there is no sidecar for Windows"
	}
	return string(r)
}

// An Error is something in a pod that injection refuses.
type Error struct {
	// Field is the path of the field, such as metadata.annotations[bearerguard.dev/cpu].
	Field string
	// Problem is what is wrong with it; Want is what is expected.
	Problem, Want string
}

// Error returns "field: problem; want what is expected".
func (e *Error) Error() string {
	return fmt.Sprintf("%s: %s; want %s", e.Field, e.Problem, e.Want)
}

// refuse makes an Error whose problem is formatted.
func refuse(field, want, problem string, args ...any) *Error {
	return &Error{Field: field, Want: want, Problem: fmt.Sprintf(problem, args...)}
}
