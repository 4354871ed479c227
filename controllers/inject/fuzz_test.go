package inject_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bearerguard/bearerguard/controllers/inject"
)

// FuzzAnnotations holds that a pod that asks gets its sidecar or is refused with the annotation named, and that a second
// injection changes nothing.
func FuzzAnnotations(f *testing.F) {
	f.Add("capture", "ports", "8080:18080", "")
	f.Add("exclude-ports", "9000,9001", "", "250m")
	f.Add("memory", "64Mi", "8080", "0x1")
	f.Add("log-level", "debug", "1:2,3:4", "1e3")
	f.Add("injected", "v1", ":", "-1")
	f.Fuzz(func(t *testing.T, name, value, ports, cpu string) {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{
			"bearerguard.dev/" + name: value, "bearerguard.dev/inject": "enabled",
		}}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "app"}}}}
		if ports != "" {
			pod.Annotations["bearerguard.dev/ports"] = ports
		}
		if cpu != "" {
			pod.Annotations["bearerguard.dev/cpu"] = cpu
		}
		cfg := validConfig().In(inject.Namespace{Name: "shop"})
		got, err := inject.Inject(pod, cfg)
		if err != nil {
			if !strings.Contains(err.Error(), "metadata.annotations[bearerguard.dev/") || !strings.Contains(err.Error(), "; want ") {
				t.Fatalf("names no annotation or no expectation: %v", err)
			}
			return
		}
		if got.Reason != inject.Injected {
			t.Fatalf("asked for and not injected: %s", got.Reason)
		}
		again, err := inject.Inject(got.Pod, cfg)
		if err != nil || again.Reason != inject.AlreadyInjected {
			t.Fatalf("a second injection: %s, %v", again.Reason, err)
		}
	})
}
