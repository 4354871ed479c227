package webhook_test

import (
	"errors"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/controllers/certs"
	"github.com/bearerguard/bearerguard/controllers/inject"
)

// withoutConfigurations is what is left after kubectl delete or helm uninstall has taken the webhook configurations: the API
// server itself refuses pods that ask for a sidecar and have none, and nobody else's.
func (c *cluster) withoutConfigurations(t *testing.T) {
	guarded := podOf("plain", nil, asked)
	if err := c.Create(t.Context(), guarded, client.DryRunAll); err != nil {
		t.Fatal(err)
	}
	c.deleteConfigurations(t)
	const byPod, byNamespace = "the pod, by the annotation bearerguard.dev/inject, asks", "its namespace, by the label bearerguard.dev/inject, asks"
	c.eventually(t, "a pod that asks is refused without a webhook", func() error {
		err := c.Create(t.Context(), podOf("plain", nil, asked), client.DryRunAll)
		if err == nil || !strings.Contains(err.Error(), byPod) {
			return errors.New("not refused: " + errorText(err))
		}
		return nil
	})
	disabled := map[string]string{injectKey: "disabled"}
	hostNetwork, static := podOf("labelled", nil, nil), podOf("labelled", nil, map[string]string{corev1.MirrorPodAnnotationKey: "x"})
	hostNetwork.Spec.HostNetwork, static.Spec.NodeName = true, "n"
	without := hostNetwork.DeepCopy()
	without.Annotations = disabled
	imitation := podOf("plain", nil, asked)
	imitation.Spec.InitContainers = []corev1.Container{{Name: inject.SidecarName, Image: "example.test/true:1"}}
	again := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{GenerateName: "p-", Namespace: "plain", Labels: guarded.Labels, Annotations: guarded.Annotations}, Spec: guarded.Spec}
	for name, tc := range map[string]struct {
		pod  *corev1.Pod
		want string // "": taken
	}{
		"a pod that asks nothing":                       {podOf("plain", nil, nil), ""},
		"one that says disabled":                        {podOf("labelled", nil, disabled), ""},
		"one in a namespace that says disabled":         {podOf("disabled", nil, nil), ""},
		"one that has its sidecar":                      {again, ""},
		"one of the cluster itself":                     {podOf("kube-system", nil, nil), ""},
		"one of the control plane":                      {podOf(system, nil, nil), ""},
		"one on the node's network that says disabled":  {without, ""},
		"one that asks":                                 {podOf("plain", nil, asked), byPod},
		"one that asks where the namespace says no":     {podOf("disabled", nil, asked), byPod},
		"one that asks with a word that is not known":   {podOf("plain", nil, map[string]string{injectKey: "yes"}), byPod},
		"one that asks with no word":                    {podOf("plain", nil, map[string]string{injectKey: ""}), byPod},
		"one whose namespace asks":                      {podOf("labelled", nil, nil), byNamespace},
		"one whose namespace asks in a strange way":     {podOf("malformed", nil, nil), byNamespace},
		"one on the node's network":                     {hostNetwork, "A pod on the node's network cannot have one."},
		"one that a user calls static":                  {static, byNamespace},
		"one with an init container that ends":          {imitation, byPod},
		"the way out, as the message for admins has it": {podOf("plain", nil, asked), "kubectl delete validatingadmissionpolicy,validatingadmissionpolicybinding -l app.kubernetes.io/name=bearerguard"},
		"the way out, as the message for users has it":  {podOf("plain", nil, asked), "annotate it with bearerguard.dev/inject=disabled"},
	} {
		err := c.Create(t.Context(), tc.pod, client.DryRunAll)
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: got %v, want %q", name, err, tc.want)
		}
	}
}

func (c *cluster) deleteConfigurations(t *testing.T) {
	t.Helper()
	meta := metav1.ObjectMeta{Name: certs.WebhookConfiguration}
	err := errors.Join(c.Delete(t.Context(), &admissionv1.MutatingWebhookConfiguration{ObjectMeta: meta}),
		c.Delete(t.Context(), &admissionv1.ValidatingWebhookConfiguration{ObjectMeta: meta}))
	if err != nil {
		t.Fatal(err)
	}
}

func errorText(err error) string {
	if err == nil {
		return "no error"
	}
	return err.Error()
}

// workloadsWithoutConfigurations holds that no workload loses its guard, or asks for one in vain, while there is no webhook.
func (c *cluster) workloadsWithoutConfigurations(t *testing.T) {
	const lost, unheard = "takes the bearerguard sidecar out of the pod template without saying so", "asks for the bearerguard sidecar, and its pod template does not"
	for name, tc := range map[string]struct {
		object client.Object
		want   string // "": taken
	}{
		"a deployment that asks nothing":               {deploymentOf("plain", nil, nil), ""},
		"one whose template asks":                      {deploymentOf("plain", asked, asked), ""},
		"one that asks, with nobody to copy":           {deploymentOf("plain", asked, nil), unheard},
		"one that says disabled":                       {deploymentOf("plain", map[string]string{injectKey: "disabled"}, nil), ""},
		"a job that asks":                              {jobOf("plain", asked), unheard},
		"a cron job whose template asks":               {cronJobOf("plain", asked), ""},
		"a deployment of the control plane":            {deploymentOf(system, asked, nil), ""},
		"one with another annotation of ours, no more": {deploymentOf("plain", map[string]string{v1alpha1.AnnotationCPU: "1"}, nil), ""},
	} {
		if err := c.Create(t.Context(), tc.object, client.DryRunAll); tc.want == "" && err != nil || tc.want != "" && refusedWith(err, tc.want) != nil {
			t.Errorf("%s: got %v, want %q", name, err, tc.want)
		}
	}
	d, cron := deploymentOf("plain", nil, asked), cronJobOf("plain", asked)
	if err := errors.Join(c.Create(t.Context(), d), c.Create(t.Context(), cron)); err != nil {
		t.Fatal(err)
	}
	for what, tc := range map[string]struct {
		object client.Object
		patch  string
		want   string
	}{
		"replicas":                          {d, `{"spec":{"replicas":3}}`, ""},
		"an annotation of another's":        {d, `{"metadata":{"annotations":{"deployment.kubernetes.io/revision":"2"}}}`, ""},
		"disabled in the template":          {d, `{"spec":{"template":{"metadata":{"annotations":{"bearerguard.dev/inject":"disabled"}}}}}`, ""},
		"a template without the annotation": {d, `{"spec":{"template":{"metadata":{"annotations":null}}}}`, lost},
		"the same of a cron job":            {cron, `{"spec":{"jobTemplate":{"spec":{"template":{"metadata":{"annotations":null}}}}}}`, lost},
	} {
		err := c.Patch(t.Context(), tc.object.DeepCopyObject().(client.Object), client.RawPatch(types.MergePatchType, []byte(tc.patch)), client.DryRunAll)
		if tc.want == "" && err != nil || tc.want != "" && refusedWith(err, tc.want) != nil {
			t.Errorf("%s: got %v, want %q", what, err, tc.want)
		}
	}
}
