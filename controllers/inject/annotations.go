package inject

import (
	"slices"
	"strings"

	"github.com/bearerguard/bearerguard/api/flags"
	"github.com/bearerguard/bearerguard/api/v1alpha1"
)

// Values of bearerguard.dev/inject.
const (
	enabled  = "enabled"
	disabled = "disabled"
)

// Capture is how inbound traffic reaches the sidecar.
type Capture string

// The ways to capture.
const (
	// Redirect sends every inbound TCP port to the sidecar, with an init container that needs NET_ADMIN. The default.
	Redirect Capture = "redirect"
	// Ports lets the sidecar listen on given ports, and the app on others, on 127.0.0.1. It needs no privilege.
	Ports Capture = "ports"
)

// An Annotation is one that a pod may carry, described for people.
type Annotation struct {
	// Name is the whole name.
	Name string
	// Value and Default say what it takes and what holds without it.
	Value, Default string
	// Namespace tells whether a namespace may carry it too, as a default for its pods.
	Namespace bool
	// Chart is the chart's value that is the default for all namespaces; empty: none.
	Chart string
}

// Annotated describes every annotation that a pod may carry, sorted by name.
func Annotated() []Annotation {
	out := []Annotation{
		{Name: v1alpha1.AnnotationInject, Value: "`enabled` or `disabled`", Default: "the label of the same name on the namespace, else `disabled`"},
		{Name: v1alpha1.AnnotationCapture, Value: "`redirect`: an init container with NET_ADMIN alone sends all inbound TCP to the sidecar. `ports`: no privilege, see `ports`", Default: "`redirect`"},
		{Name: v1alpha1.AnnotationPorts, Value: "with `capture: ports`: pairs listen:app, separated by commas. `\"8080:18080\"`: the sidecar listens on 8080 and forwards to the app on 18080"},
		{Name: v1alpha1.AnnotationExcludePorts, Value: "inbound ports that are not captured, separated by commas", Default: "none"},
		{Name: v1alpha1.AnnotationCPU, Value: "the sidecar's CPU request", Default: "`20m`", Namespace: true, Chart: "sidecar.cpu"},
		{Name: v1alpha1.AnnotationCPULimit, Value: "the sidecar's CPU limit", Default: "none", Namespace: true, Chart: "sidecar.cpuLimit"},
		{Name: v1alpha1.AnnotationMemory, Value: "the sidecar's memory request, and its limit unless `memory-limit` stands beside it", Default: "`32Mi`", Namespace: true, Chart: "sidecar.memory"},
		{Name: v1alpha1.AnnotationMemoryLimit, Value: "the sidecar's memory limit", Default: "`128Mi`", Namespace: true, Chart: "sidecar.memoryLimit"},
		{Name: v1alpha1.AnnotationTokenAudiences, Value: "audiences, separated by commas: the app's containers get a service-account token for each, see [tokens](tokens.md#service-accounts). `\"orders,pay\"`", Default: "none"},
		{Name: v1alpha1.AnnotationTLSCert, Value: "a Secret of type `kubernetes.io/tls` in the pod's namespace: serve TLS with its certificate; empty: none", Default: "none"},
		{Name: v1alpha1.AnnotationTLSClientCA, Value: "a Secret with `ca.crt`: with `tls-cert`, ask clients for a certificate of this authority; empty: nothing is asked", Default: "none"},
	}
	out = append(out,
		Annotation{Name: v1alpha1.AnnotationTraceCA, Value: "`configmap/NAME` or `secret/NAME` in the pod's namespace: its `ca.crt` is the authority of the certificate of an https `trace-endpoint`; empty: those of the system", Default: "none"},
		Annotation{Name: v1alpha1.AnnotationTraceHeaders, Value: "a Secret in the pod's namespace: its entry `headers` has header fields for the collector, `name: value` a line, such as a vendor's token; empty: none", Default: "none"},
	)
	special := map[string]Annotation{
		"app-address": {
			Value:   "where the app is reached: `127.0.0.1`, `::1`, or `pod-ip`: the pod's own address; empty: the default",
			Default: "with `redirect` the address that the client dialled, with `ports` `127.0.0.1`",
		},
		"drain-wait": {Value: "time to go on taking requests once the pod is told to stop: whole seconds such as `5s`; `0s`: none; see [rollouts](rollouts.md)", Default: "`5s`, or what fits into half of the pod's grace period; `0s` in pods of Jobs"},
		"log-level":  {Value: "error, info or debug", Default: "the chart's `logLevel`"},
	}
	for _, f := range flags.All() {
		a := Annotation{Value: f.Usage, Default: "none"}
		if f.Default != "" {
			a.Default = "`" + f.Default + "`"
		}
		if s, ok := special[f.Name]; ok {
			a = s
		}
		a.Name = v1alpha1.Prefix + f.Name
		out = append(out, a)
	}
	for i, a := range out {
		if short := strings.TrimPrefix(a.Name, v1alpha1.Prefix); isFlag(short) {
			out[i].Namespace, out[i].Chart = true, "sidecar.flags."+short
		}
	}
	slices.SortFunc(out, func(a, b Annotation) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// Annotations returns the names that a pod may carry, sorted.
func Annotations() []string {
	var names []string
	for _, a := range Annotated() {
		names = append(names, a.Name)
	}
	return names
}

// NamespaceAnnotations returns the names that a namespace may carry, sorted.
func NamespaceAnnotations() []string {
	var names []string
	for _, a := range Annotated() {
		if a.Namespace {
			names = append(names, a.Name)
		}
	}
	return names
}

// annotation returns the field path of an annotation.
func annotation(name string) string { return "metadata.annotations[" + name + "]" }

// parseInject reads a value of bearerguard.dev/inject; field is where it was found.
func parseInject(field, value string) (on bool, err error) {
	switch value {
	case enabled:
		return true, nil
	case disabled:
		return false, nil
	}
	return false, refuse(field, "enabled or disabled", "%q is neither", value)
}

// unknown refuses an annotation that p may not carry, and says which it may.
func unknown(p place, name string) error {
	if p.rank == ofNamespace {
		want := oneOf(NamespaceAnnotations())
		switch {
		case name == v1alpha1.AnnotationInject:
			return refuse(p.field(name), "the label of that name", "is an annotation; a namespace asks for sidecars by a label")
		case slices.Contains(Annotations(), name):
			return refuse(p.field(name), want, "is for pods alone")
		}
		return refuse(p.field(name), want, "is not known")
	}
	for _, f := range flags.Kept() {
		if v1alpha1.Prefix+f.Name == name {
			return refuse(p.field(name), "it left out", "is not for a pod to say: %s", strings.ReplaceAll(f.Usage, "`", ""))
		}
	}
	return refuse(p.field(name), oneOf(Annotations()), "is not known")
}

// oneOf lists names, with their prefix once.
func oneOf(names []string) string {
	return "one of " + v1alpha1.Prefix + "{" + strings.ReplaceAll(strings.Join(names, ","), v1alpha1.Prefix, "") + "}"
}
