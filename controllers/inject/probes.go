package inject

import (
	"encoding/json"
	"fmt"
	"iter"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/bearerguard/bearerguard/api/probe"
)

// container is one of a pod's own containers and where it stands.
type container struct {
	*corev1.Container
	field string
}

// containers yields the pod's own containers, init containers first; not those of the sidecar.
func containers(pod *corev1.Pod) iter.Seq[container] {
	return func(yield func(container) bool) {
		for i := range pod.Spec.InitContainers {
			c := &pod.Spec.InitContainers[i]
			if ours(c.Name) {
				continue
			}
			if !yield(container{c, fmt.Sprintf("spec.initContainers[%s]", c.Name)}) {
				return
			}
		}
		for i := range pod.Spec.Containers {
			c := &pod.Spec.Containers[i]
			if !yield(container{c, fmt.Sprintf("spec.containers[%s]", c.Name)}) {
				return
			}
		}
	}
}

func ours(name string) bool { return name == SidecarName || name == CaptureName }

// ownProbe is one probe of a container.
type ownProbe struct {
	*corev1.Probe
	kind string
}

func probes(c container) []ownProbe {
	var out []ownProbe
	for _, p := range []ownProbe{{c.StartupProbe, "startup"}, {c.ReadinessProbe, "readiness"}, {c.LivenessProbe, "liveness"}} {
		if p.Probe != nil {
			out = append(out, p)
		}
	}
	return out
}

func probePath(container, kind string) string { return "/probe/" + container + "/" + kind }

// rewriteProbes points each probe on a captured port to the sidecar and returns the originals by "container/kind".
func (s *settings) rewriteProbes(pod *corev1.Pod) (originals map[string]probe.Probe, warnings []string) {
	originals = map[string]probe.Probe{}
	for c := range containers(pod) {
		for _, p := range probes(c) {
			original, captured, err := s.original(c, p)
			if err != nil {
				warnings = append(warnings, err.Error())
			}
			if !captured {
				continue
			}
			originals[c.Name+"/"+p.kind] = original
			p.ProbeHandler = corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{
				Path: probePath(c.Name, p.kind), Port: intstr.FromInt32(AdminPort), Scheme: corev1.URISchemeHTTP,
			}}
		}
		warnings = append(warnings, s.hookWarnings(c)...)
	}
	return originals, warnings
}

// original returns p as the sidecar is to run it, and whether it is on a captured port. A probe of another host, and one
// whose port cannot be resolved, stays as it is.
func (s *settings) original(c container, p ownProbe) (probe.Probe, bool, error) {
	out := probe.Probe{TimeoutSeconds: max(p.TimeoutSeconds, 1)}
	field := c.field + "." + p.kind + "Probe"
	switch {
	case p.HTTPGet != nil && p.HTTPGet.Host == "":
		port, ok, err := s.resolve(c, p.HTTPGet.Port, field+".httpGet.port")
		out.HTTPGet = httpGet(p.HTTPGet, port)
		return out, ok, err
	case p.TCPSocket != nil && p.TCPSocket.Host == "":
		port, ok, err := s.resolve(c, p.TCPSocket.Port, field+".tcpSocket.port")
		out.TCPSocket = &probe.TCPSocket{Port: port}
		return out, ok, err
	case p.GRPC != nil:
		port, ok := s.appPort(p.GRPC.Port)
		out.GRPC = &probe.GRPC{Port: port}
		if p.GRPC.Service != nil {
			out.GRPC.Service = *p.GRPC.Service
		}
		return out, ok, nil
	}
	return probe.Probe{}, false, nil
}

func httpGet(a *corev1.HTTPGetAction, port int32) *probe.HTTPGet {
	out := &probe.HTTPGet{Scheme: string(a.Scheme), Port: port, Path: a.Path}
	if out.Scheme == "" {
		out.Scheme = string(corev1.URISchemeHTTP)
	}
	for _, h := range a.HTTPHeaders {
		out.HTTPHeaders = append(out.HTTPHeaders, probe.Header{Name: h.Name, Value: h.Value})
	}
	return out
}

// resolve returns the app's port behind a probe's port, which may be a name, and whether it is captured.
func (s *settings) resolve(c container, port intstr.IntOrString, field string) (int32, bool, error) {
	if port.Type == intstr.Int {
		app, ok := s.appPort(port.IntVal)
		return app, ok, nil
	}
	for _, p := range c.Ports {
		if p.Name == port.StrVal {
			app, ok := s.appPort(p.ContainerPort)
			return app, ok, nil
		}
	}
	if n, err := strconv.Atoi(port.StrVal); err == nil { // what the kubelet tries last
		app, ok := s.appPort(int32(min(max(n, 0), 1<<16)))
		return app, ok, nil
	}
	return 0, false, refuse(field, "the name of one of the container's ports", "the container has no port named %q; the probe is left as it is", port.StrVal)
}

// hookWarnings tells of lifecycle hooks whose HTTP call meets the sidecar without a token.
func (s *settings) hookWarnings(c container) []string {
	if c.Lifecycle == nil {
		return nil
	}
	var out []string
	for _, h := range []struct {
		name    string
		handler *corev1.LifecycleHandler
	}{{"postStart", c.Lifecycle.PostStart}, {"preStop", c.Lifecycle.PreStop}} {
		if h.handler == nil || h.handler.HTTPGet == nil || h.handler.HTTPGet.Host != "" {
			continue
		}
		field := fmt.Sprintf("%s.lifecycle.%s.httpGet", c.field, h.name)
		if port, ok, _ := s.resolve(c, h.handler.HTTPGet.Port, field); ok {
			out = append(out, fmt.Sprintf("%s: calls port %d through the sidecar without a token; it passes only if a rule allows that path anonymously", field, port))
		}
	}
	return out
}

// encodeProbes returns the value of probe.Env; the same for the same probes.
func encodeProbes(originals map[string]probe.Probe) (string, error) {
	b, err := json.Marshal(originals)
	if err != nil {
		return "", fmt.Errorf("encode probes: %w", err)
	}
	// Kubernetes expands $(NAME) in the value of an environment variable; without a dollar there is nothing to expand.
	return strings.ReplaceAll(string(b), "$", `\u0024`), nil
}
