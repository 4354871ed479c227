package inject_test

import (
	"fmt"
	"iter"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/controllers/inject"
)

// With ids left to the platform, every pod of the corpus in ports capture is one that OpenShift's restricted-v2 admits.
func TestRestrictedV2AdmitsPodsInPortsCapture(t *testing.T) {
	t.Parallel()
	ins, err := filepath.Glob(filepath.Join(dir, "*.in.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, in := range ins {
		pod, cfg := readPod(t, in), readConfig(t, strings.TrimSuffix(filepath.Base(in), ".in.yaml"))
		if pod.Annotations[v1alpha1.AnnotationCapture] != string(inject.Ports) {
			continue
		}
		cfg.RunAsUser, cfg.RunAsGroup = nil, nil
		result, err := inject.Inject(pod, cfg)
		if err != nil || !result.Injected() {
			continue
		}
		seen++
		for problem := range restrictedV2(result.Pod) {
			t.Errorf("%s: %s", in, problem)
		}
	}
	if seen < 5 {
		t.Errorf("%d pods looked at; the corpus has more", seen)
	}
	redirected := readPod(t, filepath.Join(dir, "minimal.in.yaml"))
	result, err := inject.Inject(redirected, readConfig(t, "minimal"))
	if err != nil {
		t.Fatal(err)
	}
	if len(slices.Collect(restrictedV2(result.Pod))) == 0 {
		t.Error("the rules let NET_ADMIN and fixed ids pass")
	}
}

// restrictedV2 yields what the SCC restricted-v2 refuses in pod: the rules of
// https://github.com/openshift/cluster-kube-apiserver-operator, bindata/bootkube/scc-manifests, 0000_20_*-restricted-v2.yaml.
// What it fills in by itself may be left out. No range of ids is known here, so that every given id is outside of it.
func restrictedV2(pod *corev1.Pod) iter.Seq[string] {
	return func(yield func(string) bool) {
		spec := &pod.Spec
		refuse := func(bad bool, format string, args ...any) {
			if bad {
				yield(fmt.Sprintf(format, args...))
			}
		}
		refuse(spec.HostNetwork || spec.HostPID || spec.HostIPC, "uses the host's namespaces")
		if c := spec.SecurityContext; c != nil {
			refuse(c.RunAsUser != nil || c.FSGroup != nil || c.SELinuxOptions != nil, "the pod names ids")
			refuse(!runtimeDefault(c.SeccompProfile), "the pod has seccomp profile %v", c.SeccompProfile)
		}
		for _, v := range spec.Volumes {
			refuse(!allowedVolume(v.VolumeSource), "volume %s is of a kind that is not allowed", v.Name)
		}
		for _, c := range slices.Concat(spec.InitContainers, spec.Containers) {
			for _, p := range c.Ports {
				refuse(p.HostPort != 0, "%s uses a port of the host", c.Name)
			}
			s := c.SecurityContext
			if s == nil {
				continue
			}
			refuse(s.RunAsUser != nil, "%s runs as %v", c.Name, s.RunAsUser)
			refuse(s.Privileged != nil && *s.Privileged, "%s is privileged", c.Name)
			refuse(s.AllowPrivilegeEscalation != nil && *s.AllowPrivilegeEscalation, "%s may gain privileges", c.Name)
			refuse(s.SELinuxOptions != nil || !runtimeDefault(s.SeccompProfile), "%s has SELinux options or a seccomp profile of its own", c.Name)
			if s.Capabilities == nil {
				continue
			}
			refuse(slices.ContainsFunc(s.Capabilities.Add, func(c corev1.Capability) bool { return c != "NET_BIND_SERVICE" }),
				"%s adds %v", c.Name, s.Capabilities.Add)
			refuse(!slices.Contains(s.Capabilities.Drop, "ALL"), "%s drops %v", c.Name, s.Capabilities.Drop)
		}
	}
}

func runtimeDefault(p *corev1.SeccompProfile) bool {
	return p == nil || p.Type == corev1.SeccompProfileTypeRuntimeDefault
}

func allowedVolume(v corev1.VolumeSource) bool {
	return v.ConfigMap != nil || v.CSI != nil || v.DownwardAPI != nil || v.EmptyDir != nil || v.Ephemeral != nil ||
		v.PersistentVolumeClaim != nil || v.Projected != nil || v.Secret != nil
}
