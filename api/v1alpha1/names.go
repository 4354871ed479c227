package v1alpha1

// Prefix begins every annotation and label of the project. An annotation with it that is not listed here is a mistake
// and is refused at admission.
const Prefix = "bearerguard.dev/"

// Annotations of a pod or pod template; on a workload they are copied into its template. Besides these, each flag of package
// flags is one.
const (
	// AnnotationInject is "enabled" or "disabled". It is also a label of a namespace; the nearest wins.
	AnnotationInject = Prefix + "inject"
	// AnnotationCapture is "redirect" (default) or "ports".
	AnnotationCapture = Prefix + "capture"
	// AnnotationPorts has pairs "listen:app", separated by commas, for capture "ports": "8080:18080".
	AnnotationPorts = Prefix + "ports"
	// AnnotationExcludePorts has inbound ports, separated by commas, that are not captured.
	AnnotationExcludePorts = Prefix + "exclude-ports"
	// AnnotationCPU is the sidecar's CPU request, a quantity.
	AnnotationCPU = Prefix + "cpu"
	// AnnotationCPULimit is the sidecar's CPU limit, a quantity.
	AnnotationCPULimit = Prefix + "cpu-limit"
	// AnnotationMemory is the sidecar's memory request, a quantity, and its limit unless AnnotationMemoryLimit is beside it.
	AnnotationMemory = Prefix + "memory"
	// AnnotationMemoryLimit is the sidecar's memory limit, a quantity.
	AnnotationMemoryLimit = Prefix + "memory-limit"
	// AnnotationTLSCert is the name of a Secret of type kubernetes.io/tls, with which the sidecar serves TLS.
	AnnotationTLSCert = Prefix + "tls-cert"
	// AnnotationTLSClientCA is the name of a Secret whose ca.crt is the authority of clients' certificates.
	AnnotationTLSClientCA = Prefix + "tls-client-ca"
	// AnnotationTraceCA is a ConfigMap or a Secret, configmap/NAME or secret/NAME, whose ca.crt is the authority of the collector's certificate.
	AnnotationTraceCA = Prefix + "trace-ca"
	// AnnotationTraceHeaders is the name of a Secret whose entry "headers" has header fields for the collector.
	AnnotationTraceHeaders = Prefix + "trace-headers"
	// AnnotationTokenAudiences has audiences, separated by commas, for each of which the app gets a token of its pod's
	// service account: "orders,pay".
	AnnotationTokenAudiences = Prefix + "token-audiences"
	// AnnotationInjected is set by the webhook: the version of the sidecar that was injected, and after an "@" the revision of the release
	// that did it, if it has one.
	AnnotationInjected = Prefix + "injected"

	// AnnotationFormerImage is set by "kubectl bearerguard upgrade-sidecars" while a pod's sidecar gets another image in place: the one
	// that it had, which it gets back if it does not become ready.
	AnnotationFormerImage = Prefix + "former-image"
)

// LabelInject is AnnotationInject as a label of a namespace.
const LabelInject = AnnotationInject

// LabelEnforce is "true" on a namespace whose pods are refused unless they carry the sidecar, whatever their annotations say.
// The platform sets it: whoever may write a namespace's labels may take it off.
const LabelEnforce = Prefix + "enforce"

// LabelRevision names, on a namespace, the release of the control plane that serves it where several share a cluster. Without it the
// namespace is the default release's.
const LabelRevision = Prefix + "revision"

// LabelServes has the ports that the sidecar of a pod in capture mode "ports" listens on, in ascending order and with dots between them:
// "8080.9090". Set by the webhook; no such pod with more ports than fit into a label has it, and no other.
const LabelServes = Prefix + "serves"

// LabelInjected is "true" on pods that carry a sidecar; set by the webhook.
const LabelInjected = AnnotationInjected
