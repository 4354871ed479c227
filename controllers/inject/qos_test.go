package inject_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/bearerguard/bearerguard/controllers/inject"
)

// qos returns the QoS class of a pod as the API server computes it, of all containers, init containers too.
func qos(pod *corev1.Pod) corev1.PodQOSClass {
	guaranteed, some := true, false
	for _, c := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
			request, limit := c.Resources.Requests[name], c.Resources.Limits[name]
			if request.IsZero() {
				request = limit // the API server's default
			}
			some = some || !request.IsZero() || !limit.IsZero()
			guaranteed = guaranteed && !limit.IsZero() && request.Cmp(limit) == 0
		}
	}
	switch {
	case !some:
		return corev1.PodQOSBestEffort
	case guaranteed:
		return corev1.PodQOSGuaranteed
	}
	return corev1.PodQOSBurstable
}

// A pod of the corpus that is Guaranteed stays so, unless it says otherwise itself, with a warning.
func TestGuaranteedPodsStayGuaranteed(t *testing.T) {
	t.Parallel()
	ins, err := filepath.Glob(filepath.Join(dir, "*.in.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, in := range ins {
		pod := readPod(t, in)
		result, err := inject.Inject(pod, readConfig(t, strings.TrimSuffix(filepath.Base(in), ".in.yaml")))
		if err != nil || !result.Injected() || qos(pod) != corev1.PodQOSGuaranteed {
			continue
		}
		seen++
		told := slices.ContainsFunc(result.Warnings, func(w string) bool { return strings.Contains(w, "the pod is of QoS class Burstable") })
		if (qos(result.Pod) == corev1.PodQOSGuaranteed) == told {
			t.Errorf("%s: is %s, with warnings %q", in, qos(result.Pod), result.Warnings)
		}
	}
	if seen < 3 {
		t.Errorf("%d Guaranteed pods in the corpus", seen)
	}
}

// With a CPU limit as a default, whoever gives it, no container is without one: what a quota on limits.cpu asks for.
func TestADefaultCPULimitIsOnEveryContainerThatIsAdded(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"limit-by-chart", "limits-by-namespace", "limits", "guaranteed"} {
		result, err := inject.Inject(readPod(t, filepath.Join(dir, name+".in.yaml")), readConfig(t, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range result.Pod.Spec.InitContainers {
			if c.Resources.Limits.Cpu().IsZero() || c.Resources.Limits.Memory().IsZero() {
				t.Errorf("%s: container %s has limits %v", name, c.Name, c.Resources.Limits)
			}
		}
	}
}
