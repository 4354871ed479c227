package flow_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/bearerguard/bearerguard/api/v1alpha1"
)

// authzPod is a pod of the sample for gateways, but for its labels, which are those that the policy of these tests selects, and its
// ports. It returns the port for forward-auth.
func authzPod(t *testing.T, ns string) (*corev1.Pod, int) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "config", "samples", "ext-authz", "authz.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var d appsv1.Deployment
	for part := range bytes.SplitSeq(text, []byte("\n---\n")) {
		var kind metav1.TypeMeta
		if err := yaml.Unmarshal(part, &kind); err != nil {
			t.Fatal(err)
		}
		var any unstructured.Unstructured
		if err := yaml.Unmarshal(part, &any.Object); err != nil {
			t.Fatal(err)
		}
		any.SetNamespace(ns)
		if err := world.client.Create(t.Context(), &any, client.DryRunAll, client.FieldValidation("Strict")); err != nil {
			t.Errorf("%s: %v", kind.Kind, err)
		}
		if kind.Kind != "Deployment" {
			continue
		}
		if err := yaml.UnmarshalStrict(part, &d); err != nil {
			t.Fatal(err)
		}
	}
	port, of := freePort(), d.Spec.Template
	args := of.Spec.Containers[0].Args
	for flag, value := range map[string]string{
		"--ext-authz": fmt.Sprintf("127.0.0.1:%d", freePort()), "--forward-auth": fmt.Sprintf("127.0.0.1:%d", port), "--drain-wait": "0s",
	} {
		args[slices.Index(args, flag)+1] = value
	}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "authz-1", Labels: map[string]string{"app": "orders"}, Annotations: of.Annotations}, Spec: of.Spec}
	pod.Spec.ServiceAccountName = "default"
	return pod, port
}

// about asks about a request as nginx does.
func about(t *testing.T, port int, path, token string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/", port), http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = http.Header{
		"X-Original-Method": {"GET"}, "X-Original-Uri": {path}, "X-Original-Host": {"shop.example"}, "X-Forwarded-For": {"192.0.2.1"},
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return "no answer"
	}
	defer func() { _ = res.Body.Close() }()
	_, _ = io.Copy(io.Discard, res.Body)
	return fmt.Sprint(res.StatusCode, " ", res.Header.Get("X-User"))
}

// Pods of the sample for gateways are told their policies as sidecars are, count as ones, and are told of changes.
func TestAGatewayIsAnsweredByPushedPolicies(t *testing.T) {
	ns := newNamespace(t)
	key := newKey(t)
	policy := newPolicy(t, ns, key)
	create(t, policy)
	pod, port := authzPod(t, ns)
	create(t, pod)
	if len(pod.Spec.InitContainers) > 0 || len(pod.Spec.Containers) != 1 {
		t.Fatalf("the pod got a sidecar: %v", pod.Spec)
	}
	startSidecar(t, pod, pod.Spec.Containers[0], t.TempDir())
	token := key.token(t, map[string]any{"scope": "orders.read"})
	eventually(t, "it has its policy", func() string { return about(t, port, "/docs/a", "") }, "200 ")
	expect(t, "a token with the scope", about(t, port, "/orders", token), "200 alice")
	expect(t, "no token", about(t, port, "/orders", ""), "401 ")
	expect(t, "a path in another form", about(t, port, "//orders", token), "403 ")
	eventually(t, "it counts as a sidecar", func() string { return conditions(t, policy) }, "Accepted=True Guarded=True Programmed=True Ready=True ResolvedRefs=True Saved=True 1/1")

	edit(t, policy, func() { policy.Spec.Rules[1].Allow.Scopes = []string{"orders.admin"} })
	eventually(t, "the change is there", func() string { return about(t, port, "/orders", token) }, "403 ")
}

// A policy that a gateway cannot enforce is not loaded, and its status says why.
func TestAPolicyThatNoGatewayEnforcesIsRejected(t *testing.T) {
	ns := newNamespace(t)
	key := newKey(t)
	policy := newPolicy(t, ns, key)
	create(t, policy)
	pod, port := authzPod(t, ns)
	create(t, pod)
	startSidecar(t, pod, pod.Spec.Containers[0], t.TempDir())
	eventually(t, "it has its policy", func() string { return about(t, port, "/docs/a", "") }, "200 ")
	edit(t, policy, func() { policy.Spec.Forward.Token = "Strip" })
	eventually(t, "the status says so", func() string { return conditions(t, policy) }, "Programmed=False")
	eventually(t, "and why", func() string { return message(t, policy, "Programmed") }, "spec.forward.token: a gateway that asks by forward-auth cannot be told to strip the token")
	expect(t, "the last good rules", about(t, port, "/docs/a", ""), "200 ")
}

// message is what a condition of the status says.
func message(t *testing.T, p *v1alpha1.AuthPolicy, condition string) string {
	t.Helper()
	var got v1alpha1.AuthPolicy
	if err := world.client.Get(t.Context(), client.ObjectKeyFromObject(p), &got); err != nil {
		return err.Error()
	}
	for _, c := range got.Status.Conditions {
		if c.Type == condition {
			return c.Message
		}
	}
	return ""
}
