package flow_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	gvk "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// What is installed does not drift while the controller, with no more rights than it is given, writes its authority into its webhook
// configurations. The controller is there first, as in a sync that applies everything at once, and waits for the rest.
func TestTheInstallationDoesNotDrift(t *testing.T) {
	env := &envtest.Environment{}
	config, err := env.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = env.Stop() })
	admin, c := filepath.Join(t.TempDir(), "admin"), filepath.Join(t.TempDir(), "controller")
	write(t, admin, env.KubeConfig)
	impersonate(t, env.KubeConfig, c)
	manifest, err := kubectl(t, admin, "", "kustomize", "../../config/default")
	if err != nil {
		t.Fatal(err)
	}
	stop, err := start(func(err error) { t.Errorf("the controller ended: %v", err) }, os.Stderr, append(os.Environ(), "KUBECONFIG="+c), "controller",
		"--namespace", systemNamespace, "--namespace-selector", "!bearerguard.dev/revision", "--webhook-port", fmt.Sprint(freePort()), "--push-port", fmt.Sprint(freePort()),
		"--metrics-bind-address", "0", "--health-probe-bind-address", fmt.Sprintf("127.0.0.1:%d", freePort()), "--sidecar-image", "bearerguard.local/bearerguard:dev", "--log-level", "error", "--debug-address", "0")
	t.Cleanup(stop)
	if err != nil {
		t.Fatal(err)
	}
	api, err := client.New(config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	state := func() map[string]string {
		out := versions(t, api, systemNamespace, gvk.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"}, gvk.GroupVersionKind{Version: "v1", Kind: "Service"}, gvk.GroupVersionKind{Group: "policy", Version: "v1", Kind: "PodDisruptionBudget"})
		for name, version := range versions(t, api, "", gvk.GroupVersionKind{Group: "admissionregistration.k8s.io", Version: "v1", Kind: "MutatingWebhookConfiguration"},
			gvk.GroupVersionKind{Group: "admissionregistration.k8s.io", Version: "v1", Kind: "ValidatingWebhookConfiguration"},
			gvk.GroupVersionKind{Group: "admissionregistration.k8s.io", Version: "v1", Kind: "ValidatingAdmissionPolicy"},
			gvk.GroupVersionKind{Group: "rbac.authorization.k8s.io", Version: "v1", Kind: "ClusterRole"},
			gvk.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"}) {
			out[name] = version
		}
		return out
	}
	trusted := func() string { return untrusted(t, api) }
	clientSide.sync(t, admin, manifest)
	eventually(t, "the authority is in every webhook", trusted, "every webhook has an authority")
	clientSide.settled(t, admin, manifest, syncs, state)
	flux := serverSide("kustomize-controller")
	takeover := flux
	takeover.apply = append(slices.Clone(flux.apply), "--force-conflicts") // as both tools do
	takeover.sync(t, admin, manifest)
	flux.settled(t, admin, manifest, syncs, state)
	if got := trusted(); got != "every webhook has an authority" {
		t.Errorf("after all syncs %s", got)
	}
}

// untrusted names a webhook without an authority.
func untrusted(t *testing.T, api client.Client) string {
	t.Helper()
	var m admissionv1.MutatingWebhookConfigurationList
	var v admissionv1.ValidatingWebhookConfigurationList
	if err := api.List(t.Context(), &m); err != nil {
		t.Fatal(err)
	}
	if err := api.List(t.Context(), &v); err != nil {
		t.Fatal(err)
	}
	if len(m.Items) != 1 || len(v.Items) != 1 {
		return "there are no webhook configurations"
	}
	for _, w := range m.Items[0].Webhooks {
		if !strings.Contains(string(w.ClientConfig.CABundle), "CERTIFICATE") {
			return w.Name + " has no authority"
		}
	}
	for _, w := range v.Items[0].Webhooks {
		if !strings.Contains(string(w.ClientConfig.CABundle), "CERTIFICATE") {
			return w.Name + " has no authority"
		}
	}
	return "every webhook has an authority"
}

// impersonate writes a kubeconfig with which the controller acts as its service account.
func impersonate(t *testing.T, kubeconfig []byte, file string) {
	t.Helper()
	config, err := clientcmd.Load(kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	for _, user := range config.AuthInfos {
		user.Impersonate = "system:serviceaccount:" + systemNamespace + ":bearerguard-controller"
		user.ImpersonateGroups = []string{"system:serviceaccounts", "system:serviceaccounts:" + systemNamespace, "system:authenticated"}
	}
	if err := clientcmd.WriteToFile(*config, file); err != nil {
		t.Fatal(err)
	}
}
