package inject

import (
	"encoding/json"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/bearerguard/bearerguard/api/probe"
	"github.com/bearerguard/bearerguard/api/v1alpha1"
)

// restore takes out of pod what an earlier injection put in: containers, volumes, preStop hooks, rewritten probes. A pod without the
// mark of an injection stays as it is.
func restore(pod *corev1.Pod) error {
	if _, ok := pod.Annotations[v1alpha1.AnnotationInjected]; !ok {
		return nil
	}
	i := slices.IndexFunc(pod.Spec.InitContainers, func(c corev1.Container) bool { return c.Name == SidecarName })
	if i < 0 {
		return refuse(annotation(v1alpha1.AnnotationInjected), "it left out: admission sets it",
			"says that the pod is injected, but it has no sidecar")
	}
	originals, err := decodeProbes(pod.Spec.InitContainers[i].Env)
	if err != nil {
		return err
	}
	for c := range containers(pod) {
		for _, p := range probes(c) {
			original, ok := originals[c.Name+"/"+p.kind]
			if ok && p.HTTPGet != nil && p.HTTPGet.Path == probePath(c.Name, p.kind) && p.HTTPGet.Port.IntVal == AdminPort {
				p.ProbeHandler = handlerOf(original)
			}
		}
	}
	release(pod, pod.Spec.InitContainers[i].Args)
	pod.Spec.InitContainers = slices.DeleteFunc(pod.Spec.InitContainers, func(c corev1.Container) bool { return ours(c.Name) })
	unmountTokens(pod)
	pod.Spec.Volumes = slices.DeleteFunc(pod.Spec.Volumes, func(v corev1.Volume) bool { return ourVolume(v.Name) })
	return nil
}

// decodeProbes reads probe.Env of an earlier injection.
func decodeProbes(env []corev1.EnvVar) (map[string]probe.Probe, error) {
	for _, e := range env {
		if e.Name != probe.Env {
			continue
		}
		var out map[string]probe.Probe
		if err := json.Unmarshal([]byte(e.Value), &out); err != nil {
			return nil, refuse("spec.initContainers["+SidecarName+"].env["+probe.Env+"]", "what admission put there", "is not the JSON of an injection")
		}
		return out, nil
	}
	return nil, nil
}

// handlerOf returns p as a pod has it.
func handlerOf(p probe.Probe) corev1.ProbeHandler {
	switch {
	case p.HTTPGet != nil:
		a := &corev1.HTTPGetAction{Path: p.HTTPGet.Path, Port: intstr.FromInt32(p.HTTPGet.Port), Scheme: corev1.URIScheme(p.HTTPGet.Scheme)}
		for _, h := range p.HTTPGet.HTTPHeaders {
			a.HTTPHeaders = append(a.HTTPHeaders, corev1.HTTPHeader{Name: h.Name, Value: h.Value})
		}
		return corev1.ProbeHandler{HTTPGet: a}
	case p.TCPSocket != nil:
		return corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(p.TCPSocket.Port)}}
	case p.GRPC != nil:
		return corev1.ProbeHandler{GRPC: &corev1.GRPCAction{Port: p.GRPC.Port, Service: &p.GRPC.Service}}
	}
	return corev1.ProbeHandler{}
}

// checkNames refuses a pod that uses one of injection's names for something of its own.
func checkNames(pod *corev1.Pod) error {
	const want = "another name; this one is kept for the sidecar"
	for _, list := range []struct {
		name       string
		containers []corev1.Container
	}{{"initContainers", pod.Spec.InitContainers}, {"containers", pod.Spec.Containers}} {
		for i, c := range list.containers {
			if ours(c.Name) {
				return refuse(fmt.Sprintf("spec.%s[%d].name", list.name, i), want, "%q is taken", c.Name)
			}
		}
	}
	for i, v := range pod.Spec.Volumes {
		if ourVolume(v.Name) {
			return refuse(fmt.Sprintf("spec.volumes[%d].name", i), want, "%q is taken", v.Name)
		}
	}
	return checkMounts(pod)
}

// checkMounts refuses containers that mount a volume of the sidecar's: its keys, its rules and its token are in there.
func checkMounts(pod *corev1.Pod) error {
	for c := range containers(pod) {
		for i, m := range c.VolumeMounts {
			if ourVolume(m.Name) {
				return refuse(fmt.Sprintf("%s.volumeMounts[%d].name", c.field, i), "a volume of the pod's own",
					"%q is the sidecar's alone", m.Name)
			}
		}
	}
	return nil
}
