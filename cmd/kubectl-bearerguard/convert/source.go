package convert

import (
	"cmp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Source is a system whose policies are converted.
type Source string

// The sources.
const (
	Istio        Source = "Istio"
	EnvoyGateway Source = "Envoy Gateway"
	APIServer    Source = "Kubernetes AuthenticationConfiguration"
	OAuth2Proxy  Source = "oauth2-proxy"
	KubeRBAC     Source = "kube-rbac-proxy"
)

// object is an object of Kubernetes.
type object struct {
	node                           *node
	kind, version, name, namespace string
	used                           bool // it is a policy, or what one refers to
}

// objects are those of all files.
type objects struct {
	options Options
	all     []*object
}

// add reads what an object is.
func (o *objects) add(n *node) (*object, error) {
	meta := n.field("metadata")
	x := &object{node: n, kind: n.field("kind").text(), version: n.field("apiVersion").text(), name: meta.field("name").text()}
	x.namespace = cmp.Or(meta.field("namespace").text(), o.options.Namespace)
	n.object = strings.TrimSpace(x.kind + " " + x.name)
	if !n.is(yaml.MappingNode) || x.kind == "" || x.version == "" {
		return nil, n.refuse("is no Kubernetes object; want apiVersion and kind")
	}
	o.all = append(o.all, x)
	return x, nil
}

// find returns the object of a kind with this name. Whoever finds it uses it.
func (o *objects) find(kind, namespace, name string) *object {
	i := slices.IndexFunc(o.all, func(x *object) bool { return x.kind == kind && x.namespace == namespace && x.name == name })
	if i < 0 {
		return nil
	}
	o.all[i].used = true
	return o.all[i]
}

// leftOut notes the objects that nobody used.
func (o *objects) leftOut() {
	for _, x := range o.all {
		switch {
		case x.used:
		case x.kind == "PeerAuthentication":
			x.node.note(LeftOut, "is about mTLS between proxies, not about tokens; a sidecar of Bearerguard does not do it")
		case slices.Contains(silent, x.kind):
		default:
			x.node.note(LeftOut, "objects of this kind are not converted")
		}
	}
}

// silent are kinds of objects that stand beside an app in its manifests and say nothing of who is let in.
var silent = []string{"Namespace", "Service", "ServiceAccount", "ConfigMap", "Secret", "PersistentVolumeClaim", "HorizontalPodAutoscaler", "PodDisruptionBudget",
	"ServiceMonitor", "PodMonitor", "Gateway", "GatewayClass", "HTTPRoute", "GRPCRoute", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding",
	"Deployment", "DaemonSet", "StatefulSet", "ReplicaSet", "Job", "CronJob", "Pod", "CustomResourceDefinition"}

// oneSource refuses files of several systems. Where two of them stand before an app, both had to let a request in; of two AuthPolicies one
// is enough.
func oneSource(seen []found) error {
	for _, f := range seen {
		if f.source != seen[0].source {
			return f.node.refuse("is of %s, and line %d of %s is of %s: where both stand before an app, a request had to pass both, and two AuthPolicies let in what either "+
				"lets in; convert them apart", f.source, seen[0].node.line(), seen[0].node.file, seen[0].source)
		}
	}
	return nil
}

// found is where a policy of a source is.
type found struct {
	source Source
	node   *node
}
