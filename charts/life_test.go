package charts

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// The rules of the API server's own outlive the release, as the CustomResourceDefinitions do, and stand in the way of none that
// comes after it.
func TestAdmissionPoliciesOutliveTheRelease(t *testing.T) {
	helm, kubectl := tool(t, "helm"), tool(t, "kubectl")
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		t.Setenv("KUBEBUILDER_ASSETS", filepath.Dir(tool(t, "kube-apiserver")))
	}
	env := &envtest.Environment{}
	if _, err := env.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = env.Stop() })
	config := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(config, env.KubeConfig, 0o600); err != nil {
		t.Fatal(err)
	}
	must := func(name string, args ...string) string {
		t.Helper()
		out, err := run(t, name, append(args, "--kubeconfig", config)...)
		if err != nil {
			t.Fatalf("%s %s: %v", filepath.Base(name), strings.Join(args, " "), err)
		}
		return out
	}
	release := []string{"bearerguard", "bearerguard", "-n", "bearerguard-system", "--create-namespace"}
	left := func() string {
		return must(kubectl, "get", "-o=name", "-l=app.kubernetes.io/name=bearerguard",
			"validatingadmissionpolicies,validatingadmissionpolicybindings,mutatingwebhookconfigurations,crds")
	}
	must(helm, append([]string{"install"}, release...)...)
	installed := left()
	must(helm, append([]string{"upgrade", "--set=admissionPolicies.action=Warn"}, release...)...)
	must(helm, "rollback", "bearerguard", "1", "-n", "bearerguard-system")
	must(helm, "uninstall", "bearerguard", "-n", "bearerguard-system")
	want := strings.ReplaceAll(installed, "mutatingwebhookconfiguration.admissionregistration.k8s.io/bearerguard\n", "")
	if got := left(); got != want || !strings.Contains(got, "validatingadmissionpolicybinding.admissionregistration.k8s.io/bearerguard-asked") || want == installed {
		t.Errorf("after helm uninstall there is:\n%s\nwant:\n%s", got, want)
	}
	must(helm, append([]string{"install"}, release...)...)
	if got := left(); got != installed {
		t.Errorf("after the second helm install there is:\n%s\nwant:\n%s", got, installed)
	}
	// The command of the message that refuses pods.
	must(helm, "uninstall", "bearerguard", "-n", "bearerguard-system")
	must(kubectl, "delete", "validatingadmissionpolicy,validatingadmissionpolicybinding", "-l", "app.kubernetes.io/name=bearerguard")
	if got := left(); strings.Contains(got, "validatingadmission") {
		t.Errorf("after they were deleted there is:\n%s", got)
	}
}
