package inject_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/bearerguard/bearerguard/api/probe"
	"github.com/bearerguard/bearerguard/controllers/inject"
)

// Another webhook adds a container after us; the reinvocation covers its probe too.
func TestReinvocationCoversContainersAddedLater(t *testing.T) {
	t.Parallel()
	cfg := validConfig().In(inject.Namespace{Name: "shop"})
	probe := func() *corev1.Probe {
		return &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{
			Path: "/$(HOME)", Port: intstr.FromInt32(7000), Scheme: corev1.URISchemeHTTP}}}
	}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Annotations: annotations{injectKey: "enabled"}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", ReadinessProbe: probe()}}},
	}
	first, err := inject.Inject(pod, cfg)
	if err != nil {
		t.Fatal(err)
	}
	later := first.Pod.DeepCopy()
	later.Spec.Containers = append(later.Spec.Containers, corev1.Container{Name: "agent", LivenessProbe: probe()})
	got, err := inject.Inject(later, cfg)
	if err != nil {
		t.Fatal(err)
	}
	both := pod.DeepCopy()
	both.Spec.Containers = append(both.Spec.Containers, corev1.Container{Name: "agent", LivenessProbe: probe()})
	want, err := inject.Inject(both, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.Pod, got.Pod); diff != "" {
		t.Errorf("injecting in two steps differs from one (-one +two):\n%s", diff)
	}
}

func TestAGarbledInjectionIsRefused(t *testing.T) {
	t.Parallel()
	cfg := validConfig().In(inject.Namespace{Name: "shop"})
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Annotations: annotations{injectKey: "enabled", "bearerguard.dev/injected": "v1"}},
		Spec: corev1.PodSpec{InitContainers: []corev1.Container{{
			Name: inject.SidecarName, Env: []corev1.EnvVar{{Name: probe.Env, Value: "[]"}},
		}}},
	}
	_, err := inject.Inject(pod, cfg)
	const want = "spec.initContainers[bearerguard].env[BEARERGUARD_PROBES]: is not the JSON of an injection; want what admission put there"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// A pod that brings a container of the sidecar's name, marked as injected, gets the real one.
func TestAForgedSidecarIsReplaced(t *testing.T) {
	t.Parallel()
	cfg := validConfig().In(inject.Namespace{Name: "shop"})
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Annotations: annotations{injectKey: "enabled", "bearerguard.dev/injected": "v1"}},
		Spec: corev1.PodSpec{
			InitContainers: []corev1.Container{{Name: inject.SidecarName, Image: "example.test/fake:1"}},
			Containers:     []corev1.Container{{Name: "app"}},
		},
	}
	got, err := inject.Inject(pod, cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range got.Pod.Spec.InitContainers {
		if c.Image != cfg.Image {
			t.Errorf("container %s has image %s, want %s", c.Name, c.Image, cfg.Image)
		}
	}
}
