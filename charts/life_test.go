package charts

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// startAPI starts an API server for the length of the test.
func startAPI(t *testing.T) *envtest.Environment {
	t.Helper()
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		t.Setenv("KUBEBUILDER_ASSETS", filepath.Dir(tool(t, "kube-apiserver")))
	}
	env := &envtest.Environment{}
	if _, err := env.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = env.Stop() })
	return env
}

// liveAPI starts an API server and returns what runs a command with its kubeconfig.
func liveAPI(t *testing.T) func(name string, args ...string) (string, error) {
	t.Helper()
	env := startAPI(t)
	config := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(config, env.KubeConfig, 0o600); err != nil {
		t.Fatal(err)
	}
	return func(name string, args ...string) (string, error) {
		t.Helper()
		return run(t, name, append(args, "--kubeconfig", config)...)
	}
}

// The rules of the API server's own outlive the release, as the CustomResourceDefinitions do, and stand in the way of none that
// comes after it.
func TestAdmissionPoliciesOutliveTheRelease(t *testing.T) {
	helm, kubectl := tool(t, "helm"), tool(t, "kubectl")
	try := liveAPI(t)
	must := func(name string, args ...string) string {
		t.Helper()
		out, err := try(name, args...)
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

// A second release goes beside the first, and each can go without the other's noticing.
func TestReleasesComeAndGoBesideEachOther(t *testing.T) {
	helm, kubectl := tool(t, "helm"), tool(t, "kubectl")
	try := liveAPI(t)
	must := func(name string, args ...string) string {
		t.Helper()
		out, err := try(name, args...)
		if err != nil {
			t.Fatalf("%s %s: %v", filepath.Base(name), strings.Join(args, " "), err)
		}
		return out
	}
	install := func(revision string, more ...string) error {
		_, err := try(helm, append([]string{"install", "bearerguard" + revision, "bearerguard", "-n", "system" + revision, "--create-namespace", "--set=revision=" + revision}, more...)...)
		return err
	}
	const kinds = "validatingadmissionpolicies,validatingadmissionpolicybindings,mutatingwebhookconfigurations,validatingwebhookconfigurations,clusterroles,clusterrolebindings,priorityclasses,crds"
	// of returns the cluster-wide objects of a release.
	of := func(revision string) string {
		return must(kubectl, "get", "-o=name", "-l=app.kubernetes.io/instance=bearerguard"+revision, kinds)
	}
	// Alone in the cluster it cannot run. Helm does not look; its notes tell, and so does the controller.
	notes := must(helm, "install", "alone", "bearerguard", "-n", "systemalone", "--create-namespace", "--set=revision=alone")
	if !strings.Contains(notes, "WARNING: the cluster has no CustomResourceDefinitions of Bearerguard; want shared.create=true in one release.") {
		t.Errorf("a release with a revision, alone in the cluster, is told:\n%s", notes)
	}
	must(helm, "uninstall", "alone", "-n", "systemalone")
	for _, revision := range []string{"", "blue"} {
		if err := install(revision); err != nil {
			t.Fatal(err)
		}
	}
	first, blue := of(""), of("blue")
	if n := strings.Count(blue, "-blue\n"); n != strings.Count(blue, "\n") || n == 0 {
		t.Errorf("a release with a revision makes cluster-wide objects without it:\n%s", blue)
	}
	if err := install("green", "--set=shared.create=true"); err == nil || !strings.Contains(err.Error(), "invalid ownership metadata") {
		t.Errorf("two releases make what is shared: %v, want the second refused", err)
	}
	must(helm, "uninstall", "bearerguardblue", "-n", "systemblue")
	if got := of(""); got != first {
		t.Errorf("after the other was uninstalled there is:\n%s\nwant:\n%s", got, first)
	}
	if err := install("blue"); err != nil {
		t.Fatal(err)
	}
	must(helm, "uninstall", "bearerguard", "-n", "system")
	if got := of("blue"); got != blue {
		t.Errorf("after the default release was uninstalled there is:\n%s\nwant:\n%s", got, blue)
	}
	if left := must(kubectl, "get", "-o=name", "validatingadmissionpolicies"); !strings.Contains(left, "/bearerguard-asked\n") {
		t.Errorf("with the default release gone, pods that ask for a sidecar run bare; there is:\n%s", left)
	}
	must(helm, "upgrade", "bearerguardblue", "bearerguard", "-n", "systemblue", "--set=revision=blue") // what is shared is still there
}
