package inject

import (
	"net/url"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/bearerguard/bearerguard/api/v1alpha1"
)

// headersKey is the entry of the Secret that trace-headers names, and the file that it becomes.
const headersKey = "headers"

// parseSource reads the name of a ConfigMap or a Secret; both are empty for an empty value.
func parseSource(field, value string) (configMap, secret string, err error) {
	if value == "" {
		return "", "", nil
	}
	kind, name, _ := strings.Cut(value, "/")
	if len(validation.IsDNS1123Subdomain(name)) > 0 || kind != "configmap" && kind != "secret" {
		return "", "", refuse(field, "configmap/NAME or secret/NAME, in the pod's namespace", "%q is neither", value)
	}
	if kind == "configmap" {
		return name, "", nil
	}
	return "", name, nil
}

// checkTraceFile returns what is wrong with the name of what has a file for the collector.
func checkTraceFile(name, field, value string) error {
	if name == traceCA {
		_, _, err := parseSource(field, value)
		return err
	}
	if value != "" && len(validation.IsDNS1123Subdomain(value)) > 0 { // it may be the credential itself
		return refuse(field, "the name of a Secret in the pod's namespace", "is not a name")
	}
	return nil
}

// ofCollector returns what a setting names that is for the collector. What was said farther from the pod than the endpoint is for another
// collector: a credential is not sent where those who gave it did not send it.
func (s *settings) ofCollector(name string) string {
	at, endpoint := s.said[name], s.said[traceEndpoint]
	if endpoint.value == "" || at.rank < endpoint.rank {
		return ""
	}
	return at.value
}

// traceFiles returns what the volume for the collector has. A pod starts without it, and without the traces that need it.
func (s *settings) traceFiles() (out []corev1.VolumeProjection) {
	configMap, secret, _ := parseSource("", s.ofCollector(traceCA)) // it was checked
	if configMap != "" {
		out = append(out, corev1.VolumeProjection{ConfigMap: &corev1.ConfigMapProjection{
			LocalObjectReference: corev1.LocalObjectReference{Name: configMap}, Items: []corev1.KeyToPath{{Key: CAKey, Path: CAKey}}, Optional: new(true),
		}})
	}
	for _, of := range [...]struct{ secret, key string }{{secret, CAKey}, {s.ofCollector(traceHeaders), headersKey}} {
		if of.secret != "" {
			out = append(out, corev1.VolumeProjection{Secret: &corev1.SecretProjection{
				LocalObjectReference: corev1.LocalObjectReference{Name: of.secret}, Items: []corev1.KeyToPath{{Key: of.key, Path: of.key}}, Optional: new(true),
			}})
		}
	}
	return out
}

// traceArgs returns the arguments for the files of the volume.
func (s *settings) traceArgs() (args []string) {
	if s.ofCollector(traceCA) != "" {
		args = append(args, "--trace-ca", traceDir+"/"+CAKey)
	}
	if s.ofCollector(traceHeaders) != "" {
		args = append(args, "--trace-headers", traceDir+"/"+headersKey)
	}
	return args
}

// traceEnv returns variables by which the sidecar tells which pod its spans are of, where it makes any.
func (s *settings) traceEnv() []corev1.EnvVar {
	if s.said[traceEndpoint].value == "" {
		return nil
	}
	return []corev1.EnvVar{
		ofPodField("POD_NAMESPACE", "metadata.namespace"), ofPodField("POD_NAME", "metadata.name"), ofPodField("POD_UID", "metadata.uid"), ofPodField("NODE_NAME", "spec.nodeName"),
		{
			Name: "OTEL_RESOURCE_ATTRIBUTES",
			Value: "k8s.namespace.name=$(POD_NAMESPACE),k8s.pod.name=$(POD_NAME),k8s.pod.uid=$(POD_UID),k8s.node.name=$(NODE_NAME),k8s.container.name=" +
				SidecarName,
		},
	}
}

// checkTraces holds what is for the collector against there being one. Defaults wait for a pod that has one.
func (s *settings) checkTraces() error {
	for _, name := range [...]string{traceCA, traceHeaders} {
		if at := s.said[name]; at.value != "" && at.rank == ofPod && s.said[traceEndpoint].value == "" {
			return refuse(at.field, v1alpha1.Prefix+traceEndpoint+" beside it", "has no meaning without a collector to send traces to")
		}
	}
	return nil
}

// traceWarnings tells of what goes to the collector where others can read it.
func (s *settings) traceWarnings() []string {
	endpoint, err := url.Parse(s.said[traceEndpoint].value)
	if err != nil || endpoint.Scheme != "http" || s.ofCollector(traceHeaders) == "" {
		return nil
	}
	return []string{s.said[traceHeaders].field + ": goes to " + v1alpha1.Prefix + traceEndpoint + " by plain http: whoever is on the way can read it; want https"}
}
