package inject_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/bearerguard/bearerguard/api/probe"
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
	f.Add("trust-forwarded", "10.0.0.0/8,\"fd00::/8\"", "", "")
	f.Add("drain-wait", "5s", "", "100m")
	f.Add("app-address", "pod-ip", "", "")
	f.Add("tls-cert", "orders-tls", "", "")
	f.Add("token-cache-bytes", "0x7fffffff", "", "")
	f.Add("memory-limit", "24Mi", "", "")
	f.Add("cpu-limit", "1", "", "2")
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

// FuzzRestore holds that whatever a pod brings as the work of an earlier injection, it gets the real sidecar or is refused.
func FuzzRestore(f *testing.F) {
	f.Add(`{"app/readiness":{"httpGet":{"scheme":"HTTP","port":8080,"path":"/"},"timeoutSeconds":1}}`, "/probe/app/readiness")
	f.Add(`{"app/readiness":{}}`, "/probe/app/readiness")
	f.Add(`{"app/readiness":{"tcpSocket":{"port":-1},"grpc":{"port":1}}}`, "/probe/app/readiness")
	f.Add(`[]`, "/")
	f.Fuzz(func(t *testing.T, probes, path string) {
		pod := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Annotations: annotations{injectKey: "enabled", "bearerguard.dev/injected": "v0"}},
			Spec: corev1.PodSpec{
				InitContainers: []corev1.Container{{Name: inject.SidecarName, Env: []corev1.EnvVar{{Name: probe.Env, Value: probes}}}},
				Containers: []corev1.Container{{Name: "app", ReadinessProbe: &corev1.Probe{ProbeHandler: corev1.ProbeHandler{
					HTTPGet: &corev1.HTTPGetAction{Path: path, Port: intstr.FromInt32(inject.AdminPort)},
				}}}},
			},
		}
		cfg := validConfig().In(inject.Namespace{Name: "shop"})
		got, err := inject.Inject(pod, cfg)
		if err != nil {
			return
		}
		if got.Pod.Spec.InitContainers[1].Image != cfg.Image {
			t.Fatal("the sidecar is not the real one")
		}
		again, err := inject.Inject(got.Pod, cfg)
		if err != nil || again.Reason != inject.AlreadyInjected {
			t.Fatalf("a second injection: %s, %v", again.Reason, err)
		}
	})
}
