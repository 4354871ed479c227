package clustercheck

import (
	"crypto/x509"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// Known is a fact, or why it is not known.
type Known[T any] struct {
	Value T
	// Unknown says why; empty: Value is known. Blocked says that the reason is a right that is missing.
	Unknown string
	Blocked bool
}

// Facts are what has been found out about a cluster.
type Facts struct {
	// Pre says that Bearerguard is yet to be installed.
	Pre bool
	// Now is this machine's time. CLI is the command's own release.
	Now time.Time
	CLI string
	// Namespace is the controller's.
	Namespace string

	// Server is the API server's version, as "v1.36.0".
	Server Known[string]
	// Skew is how far the API server's clock is ahead of ours. Both clocks are read to Uncertain.
	Skew      Known[time.Duration]
	Uncertain time.Duration
	Nodes     Known[[]Node]
	// Rights are those of Subject that were asked about.
	Rights  Known[[]Right]
	Subject string
	CRDs    Known[[]apiextensionsv1.CustomResourceDefinition]
	// Controllers are the Deployments of the controller.
	Controllers Known[[]Controller]
	Webhooks    Known[[]Webhook]
	// Backends is how many endpoints are ready of each Service that webhooks name, as "namespace/name".
	Backends Known[map[string]int]
	// Policy is what became of a policy that was created for trial, Pod of a pod.
	Policy Known[Trial]
	Pod    Known[Trial]
	// Serving is the certificate that a controller shows for its webhooks, and those that signed it.
	Serving    Known[[]*x509.Certificate]
	Namespaces Known[[]Namespace]
	Sidecars   Known[[]Sidecar]
}

// Node is a node.
type Node struct {
	Name, OS, Arch, Kubelet, Kernel string
}

// Right is something that somebody wants to do, and whether it is allowed.
type Right struct {
	// Verb and Resource are as "create" and "clusterroles.rbac.authorization.k8s.io"; Namespace is empty for all, Name for any.
	Verb, Resource, Namespace, Name string
	Allowed                         bool
	// Optional says that it may be done without: to escalate, by who holds all rights that the roles give.
	Optional bool
}

// Controller is a Deployment.
type Controller struct {
	Namespace, Version string
	Wanted, Ready      int32
}

// Webhook is one of a configuration.
type Webhook struct {
	// Kind and Configuration name it, Name is the webhook's.
	Kind, Configuration, Name string
	// Service is "namespace/name".
	Service string
	CA      []byte
	// Ignore is its failurePolicy.
	Ignore bool
}

// Trial is an object that was created without being kept.
type Trial struct {
	// Namespace is where.
	Namespace string
	// Answered says that one of our webhooks had a say: it warned, refused, or changed the object.
	Answered bool
	// Refused is what the API server said, if it did not take it.
	Refused string
}

// Namespace is one with sidecars, or that asks for them.
type Namespace struct {
	Name string
	// Level is what Pod Security admission enforces there; empty: nothing.
	Level string
	// Asks says that its pods get a sidecar by its label.
	Asks bool
	// Redirects says that sidecars there capture by an init container with NET_ADMIN: those that run, or would by the namespace's
	// annotation.
	Redirects bool
	// Pods is how many of them have a sidecar.
	Pods int
}

// Sidecar is a pod's sidecar.
type Sidecar struct {
	Namespace, Pod, Version string
	// Skew is how far its clock is ahead of ours; nil if it was not asked.
	Skew *time.Duration
}
