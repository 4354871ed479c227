package main

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	admission "k8s.io/api/admission/v1"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/clustercheck"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/exit"
)

// checkLine returns the first line of a check, as JSON has it.
func checkLine(t *testing.T, text, check string) clustercheck.Line {
	t.Helper()
	var all []clustercheck.Line
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	for _, l := range all {
		if l.Check == check {
			return l
		}
	}
	return clustercheck.Line{}
}

func TestCheckClusterBeforeAnInstallation(t *testing.T) {
	t.Parallel()
	atCluster(t)
	ns := newNamespace(t)
	text, err := atLive(t, "check-cluster", "--pre", "-n", ns)
	t.Logf("what one sees:\n%s", text)
	if err != nil || !strings.Contains(text, "+ kubernetes ") && !strings.Contains(text, "✓ kubernetes ") || !strings.Contains(text, "you may do all ") {
		t.Errorf("as the administrator: %v\n%s", err, text)
	}
	text, err = atLive(t, "check-cluster", "--pre", "-n", ns, "--as", "nobody", "-o", "json")
	if l := checkLine(t, text, "permissions"); !errors.Is(err, exit.ErrNo) || l.Verdict != clustercheck.Failed || l.Exit != 2 || !strings.Contains(l.Text, "you may not: ") {
		t.Errorf("as somebody without rights: %v, %+v", err, l)
	}
	if l := checkLine(t, text, "nodes"); l.Verdict != clustercheck.Unknown || !strings.Contains(l.Text, "you may not look") || l.Exit != 0 {
		t.Errorf("nodes that one may not list: %+v", l)
	}
	if _, err := atLive(t, "check-cluster", "kubernetes", "clock", "--as", "nobody"); err != nil {
		t.Errorf("two checks that are well: %v", err)
	}
	if _, err := atLive(t, "check-cluster", "magic"); exit.Code(err) != 1 || !strings.Contains(err.Error(), `no check "magic"`) {
		t.Errorf("a check that is none: %v", err)
	}
}

// TestCheckClusterAfterAnInstallation has what the chart makes, and a webhook that answers as the controller's does.
func TestCheckClusterAfterAnInstallation(t *testing.T) {
	t.Parallel()
	atCluster(t)
	ns, bare := newNamespace(t), newNamespace(t)
	createAll(t, "../../config/manager/namespace.yaml")
	createAll(t, "../../config/rbac/rbac.yaml")
	two, labels := int32(2), map[string]string{"app.kubernetes.io/name": "bearerguard", "app.kubernetes.io/component": "controller", "app.kubernetes.io/version": "0.1.0"}
	d := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: "bearerguard-system", Name: "bearerguard-controller", Labels: labels},
		Spec: appsv1.DeploymentSpec{Replicas: &two, Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: corev1.PodTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "controller", Image: "bearerguard:0.1.0"}}},
		}},
	}
	create(t, d)
	d.Status.Replicas, d.Status.ReadyReplicas = 2, 2
	if err := live.client.Status().Update(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	newWebhooks(t, ns)
	text, err := atLive(t, "check-cluster", "-n", ns)
	t.Logf("what one sees:\n%s", text)
	if errors.Is(err, exit.ErrNo) { // what another test of this API server makes is not to be seen here
		t.Errorf("%v\n%s", err, text)
	}
	text, err = atLive(t, "check-cluster", "-n", ns, "-o", "json")
	if err != nil {
		t.Error(err)
	}
	for check, want := range map[string]string{
		"crds": "all 4 are there", "controller": "2 of 2 replicas ready", "webhooks": "2 webhooks, each with a caBundle", "admission": "the webhook that checks policies answered",
		"certificates": "lasts until", "permissions": "system:serviceaccount:bearerguard-system:bearerguard-controller may do all",
	} {
		if l := checkLine(t, text, check); l.Verdict != clustercheck.OK || !strings.Contains(l.Text, want) {
			t.Errorf("%s: %+v, want %q", check, l, want)
		}
	}
	text, err = atLive(t, "check-cluster", "admission", "-n", bare, "-o", "json") // the webhook does not look there
	if l := checkLine(t, text, "admission"); !errors.Is(err, exit.ErrNo) || l.Verdict != clustercheck.Failed || !strings.Contains(l.Text, "policies are not checked there") {
		t.Errorf("a namespace that is not served: %v, %+v", err, l)
	}
	var left corev1.PodList
	if err := live.client.List(t.Context(), &left); err != nil {
		t.Fatal(err)
	}
	for i := range left.Items {
		if left.Items[i].Name == "bearerguard-check-cluster" {
			t.Error("the pod that was tried is kept")
		}
	}
}

// createAll creates what a file of manifests has.
func createAll(t *testing.T, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	d := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	for {
		var o unstructured.Unstructured
		if err := d.Decode(&o.Object); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
		if o.Object == nil {
			continue
		}
		if err := live.client.Create(t.Context(), &o); err != nil && !apierrors.IsAlreadyExists(err) {
			t.Fatal(err)
		}
	}
}

// newWebhooks makes webhook configurations for one namespace, and what answers: it puts in a sidecar, and warns of policies.
func newWebhooks(t *testing.T, namespace string) {
	t.Helper()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var review admission.AdmissionReview
		_ = json.NewDecoder(r.Body).Decode(&review)
		review.Response = &admission.AdmissionResponse{UID: review.Request.UID, Allowed: true}
		if review.Request.Kind.Kind == "Pod" {
			kind := admission.PatchTypeJSONPatch
			review.Response.PatchType = &kind
			review.Response.Patch = []byte(`[{"op":"add","path":"/spec/initContainers","value":[{"name":"bearerguard","image":"bearerguard:0.1.0","restartPolicy":"Always"}]}]`)
		} else {
			review.Response.Warnings = []string{"spec.rules: there are none"}
		}
		_ = json.NewEncoder(w).Encode(review)
	}))
	t.Cleanup(server.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	none, fail := admissionv1.SideEffectClassNone, admissionv1.Fail
	labels := map[string]string{"app.kubernetes.io/name": "bearerguard"}
	selector := &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": namespace}}
	where := admissionv1.WebhookClientConfig{URL: &server.URL, CABundle: ca}
	rules := func(group, version, resource string) []admissionv1.RuleWithOperations {
		return []admissionv1.RuleWithOperations{{
			Operations: []admissionv1.OperationType{admissionv1.Create}, Rule: admissionv1.Rule{APIGroups: []string{group}, APIVersions: []string{version}, Resources: []string{resource}},
		}}
	}
	create(t, &admissionv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "bearerguard", Labels: labels},
		Webhooks: []admissionv1.MutatingWebhook{{
			Name: "pods.bearerguard.dev", ClientConfig: where, Rules: rules("", "v1", "pods"), FailurePolicy: &fail, SideEffects: &none,
			AdmissionReviewVersions: []string{"v1"}, NamespaceSelector: selector,
		}},
	})
	create(t, &admissionv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "bearerguard", Labels: labels},
		Webhooks: []admissionv1.ValidatingWebhook{{
			Name: "authpolicies.bearerguard.dev", ClientConfig: where, Rules: rules("bearerguard.dev", "v1alpha1", "authpolicies"), FailurePolicy: &fail, SideEffects: &none,
			AdmissionReviewVersions: []string{"v1"}, NamespaceSelector: selector,
		}},
	})
}
