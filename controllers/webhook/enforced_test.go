package webhook_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/controllers/inject"
)

const noGuard = "the namespace enforces the bearerguard sidecar"

// enforced attacks an enforced namespace as somebody may who owns all in it: every pod that comes up there has the guard.
func (c *cluster) enforced(t *testing.T) {
	c.eventually(t, "a pod without a guard is refused", func() error {
		return refusedWith(c.Create(t.Context(), podSaying("disabled"), client.DryRunAll), noGuard)
	})
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "enforced", Name: "exempt"}}
	if err := c.Create(t.Context(), account); err != nil {
		t.Fatal(err)
	}
	exempt := podSaying("disabled")
	exempt.Spec.ServiceAccountName = "exempt"
	for name, tc := range map[string]struct {
		pod  *corev1.Pod
		want string // "": taken
	}{
		"one of an account that is exempt":       {exempt, ""},
		"a pod that says nothing gets its guard": {podSaying(""), ""},
		"one that asks does":                     {podSaying("enabled"), ""},
		"disabled is no way out":                 {podSaying("disabled"), noGuard},
		"nor is a container of that name":        {forged(podSaying("disabled")), noGuard},
		"nor is one with the marks of injection": {marked(forged(podSaying("disabled"))), noGuard},
		"nor is the node's network":              {onNode(podSaying("disabled")), noGuard},
		"nor is a pod called static":             {static(podSaying("disabled")), noGuard},
		"nor is a port that is left out":         {saying(podSaying(""), v1alpha1.AnnotationExcludePorts, "8080"), "metadata.annotations[bearerguard.dev/exclude-ports]: leaves ports unguarded"},
		"nor is another way to capture":          {saying(saying(podSaying(""), v1alpha1.AnnotationCapture, "ports"), v1alpha1.AnnotationPorts, "9:10"), "metadata.annotations[bearerguard.dev/capture]: leaves ports unguarded"},
		"nor is a capability":                    {capable(podSaying(""), "NET_ADMIN"), "adds a capability"},
		"nor is one that runtimes read as it":    {capable(podSaying(""), "CAP_net_admin"), "adds a capability"},
		"a harmless capability is taken":         {capable(podSaying(""), "NET_BIND_SERVICE"), ""},
		"a look at its processes is refused":     {sharing(podSaying("")), "spec.shareProcessNamespace"},
		"nor one at the node's":                  {seeing(podSaying("")), "spec.hostPID"},
	} {
		if err := c.Create(t.Context(), tc.pod, client.DryRunAll); tc.want == "" && err != nil || tc.want != "" && refusedWith(err, tc.want) != nil {
			t.Errorf("%s: got %v, want %q", name, err, tc.want)
		}
	}
	if err := c.Create(t.Context(), podOf("strange", nil, nil), client.DryRunAll); refusedWith(err, noGuard) != nil {
		t.Errorf("a namespace that enforces in a strange way: got %v, want it refused", err)
	}
	c.copied(t)
	c.entered(t)
}

// copied takes the guard of a pod and changes one thing that only the controller can tell.
func (c *cluster) copied(t *testing.T) {
	good := podSaying("enabled")
	if err := c.Create(t.Context(), good, client.DryRunAll); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*corev1.Container){
		"another release": func(s *corev1.Container) { s.Image = "bearerguard.test/bearerguard:v0" },
		"another flag":    func(s *corev1.Container) { s.Args = append(s.Args, "--max-streams", "1") },
		"an environment":  func(s *corev1.Container) { s.Env = append(s.Env, corev1.EnvVar{Name: "A", Value: "b"}) },
	} {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{GenerateName: "p-", Namespace: "enforced", Labels: good.Labels, Annotations: good.Annotations}, Spec: *good.Spec.DeepCopy()}
		pod.Annotations = map[string]string{injectKey: "disabled", v1alpha1.AnnotationInjected: good.Annotations[v1alpha1.AnnotationInjected]}
		if err := c.Create(t.Context(), pod, client.DryRunAll); err != nil {
			t.Errorf("the very guard, put in by hand: %v", err)
		}
		change(&pod.Spec.InitContainers[1])
		if err := c.Create(t.Context(), pod, client.DryRunAll); refusedWith(err, "the namespace enforces the guard: spec.initContainers[bearerguard].") != nil {
			t.Errorf("%s: got %v, want it refused", name, err)
		}
	}
}

// entered attacks a pod that runs.
func (c *cluster) entered(t *testing.T) {
	pod := podSaying("")
	if err := c.Create(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	c.annotate(t, pod, `{"metadata":{"labels":{"a":"b"},"finalizers":["example.test/f"]}}`)
	c.annotate(t, pod, `{"metadata":{"finalizers":null}}`)
	if err := c.Patch(t.Context(), pod, imageOf("containers", "app")); err != nil {
		t.Errorf("the app's image: %v", err)
	}
	if err := c.Patch(t.Context(), pod.DeepCopy(), imageOf("initContainers", inject.SidecarName)); refusedWith(err, "the image of the bearerguard sidecar can be changed") != nil {
		t.Errorf("the sidecar's image: got %v, want it refused", err)
	}
	c.upgraded(t, pod)
	clients, err := kubernetes.NewForConfig(c.admin)
	if err != nil {
		t.Fatal(err)
	}
	debug := func(change func(*corev1.EphemeralContainer)) error {
		next := pod.DeepCopy()
		e := corev1.EphemeralContainer{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "debug", Image: "example.test/sh:1", TerminationMessagePolicy: "File", ImagePullPolicy: "Always"}}
		change(&e)
		next.Spec.EphemeralContainers = append(next.Spec.EphemeralContainers, e)
		_, err := clients.CoreV1().Pods("enforced").UpdateEphemeralContainers(t.Context(), pod.Name, next, metav1.UpdateOptions{DryRun: []string{"All"}})
		return err
	}
	const want = "an ephemeral container is privileged"
	for name, change := range map[string]func(*corev1.EphemeralContainer){
		"that changes the network":   func(e *corev1.EphemeralContainer) { e.SecurityContext = adding("NET_ADMIN") },
		"that traces":                func(e *corev1.EphemeralContainer) { e.SecurityContext = adding("SYS_PTRACE") },
		"that is privileged":         func(e *corev1.EphemeralContainer) { e.SecurityContext = &corev1.SecurityContext{Privileged: new(true)} },
		"in the sidecar's processes": func(e *corev1.EphemeralContainer) { e.TargetContainerName = inject.SidecarName },
		"with the sidecar's own token": func(e *corev1.EphemeralContainer) {
			e.VolumeMounts = []corev1.VolumeMount{{Name: inject.IdentityVolume, MountPath: "/x"}}
		},
	} {
		if err := debug(change); refusedWith(err, want) != nil {
			t.Errorf("a debugger %s: got %v, want it refused", name, err)
		}
	}
	if err := debug(func(e *corev1.EphemeralContainer) { e.TargetContainerName = "app" }); err != nil {
		t.Errorf("a debugger of the app: %v", err)
	}
	exec := func(container string) error {
		return clients.CoreV1().RESTClient().Post().Namespace("enforced").Resource("pods").Name(pod.Name).SubResource("exec").
			Param("container", container).Param("command", "/sidecar").Do(t.Context()).Error()
	}
	if err := exec(inject.SidecarName); refusedWith(err, "nobody enters the bearerguard sidecar") != nil {
		t.Errorf("exec into the sidecar: got %v, want it refused", err)
	}
	if err := exec("app"); err == nil || strings.Contains(err.Error(), "bearerguard") {
		t.Errorf("exec into the app: got %v, want it to fail for want of a node alone", err)
	}
	if err := c.Delete(t.Context(), pod, client.GracePeriodSeconds(0)); err != nil {
		t.Errorf("delete: %v", err)
	}
}

// upgraded changes the sidecar's image in a pod that runs: to that of the release and back is all that is allowed, whatever is noted.
func (c *cluster) upgraded(t *testing.T, pod *corev1.Pod) {
	const former, next, other = "bearerguard.test/bearerguard:v1", "bearerguard.test/bearerguard:0.1.0", "bearerguard.test/bearerguard:v0"
	patch := func(image, note string) error {
		if note = `"` + note + `"`; note == `""` {
			note = "null"
		}
		return c.Patch(t.Context(), pod, client.RawPatch(types.StrategicMergePatchType, fmt.Appendf(nil,
			`{"metadata":{"annotations":{%q:%s}},"spec":{"initContainers":[{"name":%q,"image":%q}]}}`, v1alpha1.AnnotationFormerImage, note, inject.SidecarName, image)))
	}
	const refused, forged = "can be changed in a pod to " + next + " alone", "is not the image that the bearerguard sidecar had"
	for _, step := range []struct{ image, note, refused string }{
		{other, "", refused},
		{next, other, forged},
		{former, other, forged},
		{next, former, ""},
		{next, other, forged},
		{other, former, refused},
		{former, "", ""},
		{other, former, refused},
		{next, former, ""},
		{next, "", ""},
		{former, "", refused}, // it is not noted any more
	} {
		err := patch(step.image, step.note)
		if step.refused == "" && err != nil || step.refused != "" && refusedWith(err, step.refused) != nil {
			t.Errorf("the image %s, with %q noted: got %v, want %q", step.image, step.note, err, step.refused)
		}
	}
	noted := podSaying("enabled")
	noted.Annotations[v1alpha1.AnnotationFormerImage] = other
	if err := c.Create(t.Context(), noted, client.DryRunAll); refusedWith(err, "former-image]") != nil {
		t.Errorf("a pod that is made with a former image: got %v, want it refused", err)
	}
}

// enforcedWithoutConfigurations holds that nothing comes up in an enforced namespace when the webhook configurations are gone.
func (c *cluster) enforcedWithoutConfigurations(t *testing.T) {
	for name, pod := range map[string]*corev1.Pod{
		"a pod that says nothing":             podSaying(""),
		"one that asks":                       podSaying("enabled"),
		"one that says disabled":              podSaying("disabled"),
		"one with a container of that name":   forged(podSaying("disabled")),
		"one with the marks of an injection":  marked(forged(podSaying("disabled"))),
		"one on the node's network":           onNode(podSaying("disabled")),
		"one of a namespace strangely marked": podOf("strange", nil, nil),
	} {
		if err := c.Create(t.Context(), pod, client.DryRunAll); refusedWith(err, noGuard) != nil && refusedWith(err, "asks for the bearerguard sidecar") != nil {
			t.Errorf("%s: got %v, want it refused", name, err)
		}
	}
}

// refusedWith returns nil if err is a refusal with this text.
func refusedWith(err error, text string) error {
	if status := apierrors.APIStatus(nil); errors.As(err, &status) && status.Status().Code >= http.StatusBadRequest && strings.Contains(err.Error(), text) {
		return nil
	}
	return errors.New("not refused with " + text + ": " + errorText(err))
}

// imageOf changes the image of a container.
func imageOf(list, name string) client.Patch {
	return client.RawPatch(types.StrategicMergePatchType, []byte(`{"spec":{"`+list+`":[{"name":"`+name+`","image":"example.test/other:1"}]}}`))
}

func podSaying(said string) *corev1.Pod {
	pod := podOf("enforced", nil, nil)
	if said != "" {
		saying(pod, injectKey, said)
	}
	return pod
}

func saying(pod *corev1.Pod, name, value string) *corev1.Pod {
	if pod.Annotations == nil {
		pod.Annotations = map[string]string{}
	}
	pod.Annotations[name] = value
	return pod
}

// forged gives a pod containers of the sidecar's names.
func forged(pod *corev1.Pod) *corev1.Pod {
	always := corev1.ContainerRestartPolicyAlways
	pod.Spec.InitContainers = []corev1.Container{
		{Name: inject.CaptureName, Image: "example.test/true:1", Command: []string{"/sidecar"}, Args: []string{"capture"}},
		{Name: inject.SidecarName, Image: "example.test/true:1", Command: []string{"/sidecar"}, RestartPolicy: &always,
			Args: []string{"run", "--push-server-name", "bearerguard-push.bearerguard-system.svc"}},
	}
	return pod
}

func marked(pod *corev1.Pod) *corev1.Pod {
	pod.Labels = map[string]string{v1alpha1.LabelInjected: "true"}
	return saying(pod, v1alpha1.AnnotationInjected, "v1")
}

func onNode(pod *corev1.Pod) *corev1.Pod {
	pod.Spec.HostNetwork = true
	return pod
}

func static(pod *corev1.Pod) *corev1.Pod {
	pod.Spec.NodeName = "n"
	return saying(pod, corev1.MirrorPodAnnotationKey, "x")
}

func sharing(pod *corev1.Pod) *corev1.Pod {
	pod.Spec.ShareProcessNamespace = new(true)
	return pod
}

func seeing(pod *corev1.Pod) *corev1.Pod {
	pod.Spec.HostPID = true
	return pod
}

func adding(capability corev1.Capability) *corev1.SecurityContext {
	return &corev1.SecurityContext{Capabilities: &corev1.Capabilities{Add: []corev1.Capability{capability}}}
}

func capable(pod *corev1.Pod, capability corev1.Capability) *corev1.Pod {
	pod.Spec.Containers[0].SecurityContext = adding(capability)
	return pod
}
