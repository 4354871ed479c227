package v1alpha1

// Prefix begins every annotation and label of the project. An annotation with it that is not listed here is a mistake
// and is refused at admission.
const Prefix = "bearerguard.dev/"

// Annotations of a pod or pod template; on a workload they are copied into its template.
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
	// AnnotationMemory is the sidecar's memory request and limit, a quantity.
	AnnotationMemory = Prefix + "memory"
	// AnnotationLogLevel is the sidecar's log level: error, info or debug.
	AnnotationLogLevel = Prefix + "log-level"
	// AnnotationDrainWait is how long requests are still taken once the pod is told to stop: whole seconds, "5s".
	AnnotationDrainWait = Prefix + "drain-wait"
	// AnnotationInjected is set by the webhook: the release of the sidecar that was injected.
	AnnotationInjected = Prefix + "injected"
)

// LabelInject is AnnotationInject as a label of a namespace.
const LabelInject = AnnotationInject

// LabelInjected is "true" on pods that carry a sidecar; set by the webhook.
const LabelInjected = AnnotationInjected
