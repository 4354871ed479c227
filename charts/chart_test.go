// Package charts tests the chart: what helm renders is what a real API server takes, and what config/ holds.
package charts

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"
)

// tool returns a program from the PATH or from the cache of built tools; without it the test is skipped.
func tool(t *testing.T, name string) string {
	t.Helper()
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	path := filepath.Join(cacheDir(), "bin", name)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("no %s in the PATH or in %s: hack/cluster/build.sh builds it", name, filepath.Dir(path))
	}
	return path
}

func cacheDir() string {
	if dir := os.Getenv("CACHE"); dir != "" {
		return dir
	}
	dir, _ := os.UserCacheDir()
	return filepath.Join(dir, "bearerguard")
}

func run(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = errors.New(string(exit.Stderr))
	}
	return string(out), err
}

func render(t *testing.T, values ...string) (string, error) {
	t.Helper()
	args := []string{"template", "bearerguard", "bearerguard", "-n", "bearerguard-system"}
	for _, v := range values {
		args = append(args, "--set-json", v)
	}
	return run(t, tool(t, "helm"), args...)
}

func objects(t *testing.T, manifest string) []*unstructured.Unstructured {
	t.Helper()
	var out []*unstructured.Unstructured
	for doc := range strings.SplitSeq("\n"+manifest, "\n---\n") {
		u := &unstructured.Unstructured{}
		if err := yaml.UnmarshalStrict([]byte(doc), &u.Object); err != nil {
			t.Fatalf("%v in:\n%s", err, doc)
		}
		if len(u.Object) > 0 {
			out = append(out, u)
		}
	}
	return out
}

func TestWrongValuesAreRefused(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		`replicas=0`:                          "/replicas",
		`revision="Blue"`:                     "/revision",
		`revision="7"`:                        "/revision",
		`shared={"create":"yes"}`:             "/shared/create",
		`replica=1`:                           "'replica' not allowed",
		`logLevel="loud"`:                     "/logLevel",
		`sidecar={"cpus":"1"}`:                "'cpus' not allowed",
		`sidecar={"memory":"much"}`:           "/sidecar/memory",
		`keys={"allowNets":["all"]}`:          "/keys/allowNets/0",
		`image={"repository":""}`:             "/image/repository",
		`webhooks={"timeoutSeconds":31}`:      "/webhooks/timeoutSeconds",
		`podDisruptionBudget={"enabled":"y"}`: "/podDisruptionBudget/enabled",
		`certManager={"issuerRef":"x"}`:       "/certManager/issuerRef",
		`admissionPolicies={"action":"Off"}`:  "/admissionPolicies/action",
		`metrics={"prometheusRule":true}`:     "/metrics/prometheusRule",
		`tracing={"endpoint":"c:4318"}`:       "/tracing/endpoint",
		`tracing={"ratio":2}`:                 "/tracing/ratio",
		`tracing={"rate":0}`:                  "/tracing/rate",

		`tracing={"ca":{"configMapName":"a","secretName":"b"}}`: "tracing.ca: configMapName and secretName are both set",

		`enforce={"exemptServiceAccounts":["backup"]}`:        "/enforce/exemptServiceAccounts/0",
		`enforce={"exemptServiceAccounts":["a/b'] || true"]}`: "/enforce/exemptServiceAccounts/0",
		`enforce={"allowAnnotations":["inject"]}`:             "/enforce/allowAnnotations/0",
	} {
		if _, err := render(t, value); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want it refused: %s", value, err, want)
		}
	}
}

func TestHelmLint(t *testing.T) {
	t.Parallel()
	if out, err := run(t, tool(t, "helm"), "lint", "--strict", "bearerguard"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// helm and kustomize must install the same.
func TestConfigIsRenderedFromTheChart(t *testing.T) {
	t.Parallel()
	tool(t, "helm")
	dir := t.TempDir()
	if out, err := run(t, "../config/render.sh", dir); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, file := range []string{"rbac/rbac.yaml", "webhook/webhooks.yaml", "webhook/admissionpolicies.yaml", "manager/manager.yaml"} {
		want, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join("../config", file))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("config/%s is stale: run config/render.sh (-chart +config):\n%s", file, diff)
		}
	}
}

func TestCustomResourceDefinitionsAreThoseOfConfig(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../config/crd/bearerguard.dev_*.yaml")
	if err != nil || len(files) < 3 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, chart := range []string{"bearerguard", "bearerguard-crds"} {
			got, err := os.ReadFile(filepath.Join(chart, "files/crds", filepath.Base(file)))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("%s of %s is stale: run make manifests (-config +chart):\n%s", filepath.Base(file), chart, diff)
			}
		}
	}
}

// The chart of the custom resources alone brings what the other one does.
func TestBothChartsHaveTheSameCustomResources(t *testing.T) {
	t.Parallel()
	manifest, err := render(t)
	if err != nil {
		t.Fatal(err)
	}
	specs := func(manifest string) map[string]any {
		out := map[string]any{}
		for _, o := range objects(t, manifest) {
			if o.GetKind() == "CustomResourceDefinition" {
				out[o.GetName()] = o.Object["spec"]
				if o.GetAnnotations()["helm.sh/resource-policy"] != "keep" {
					t.Errorf("%s goes when the release goes, and every policy with it", o.GetName())
				}
			}
		}
		return out
	}
	alone, err := run(t, tool(t, "helm"), "template", "crds", "bearerguard-crds", "--set-json", `annotations={"argocd.argoproj.io/sync-options":"ServerSideApply=true"}`)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(specs(manifest), specs(alone)); diff != "" || !strings.Contains(alone, "ServerSideApply=true") {
		t.Errorf("-bearerguard +bearerguard-crds:\n%s", diff)
	}
}

// A real API server takes every object with no field that it does not know.
func TestTheAPIServerTakesTheChart(t *testing.T) {
	tool(t, "helm")
	kubectl := tool(t, "kubectl")
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		t.Setenv("KUBEBUILDER_ASSETS", filepath.Dir(tool(t, "kube-apiserver")))
	}
	env := &envtest.Environment{}
	config, err := env.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = env.Stop() })
	admin, err := client.New(config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	strict := client.WithFieldValidation(admin, metav1.FieldValidationStrict)
	namespace := objects(t, "apiVersion: v1\nkind: Namespace\nmetadata: {name: bearerguard-system}\n")[0]
	if err := strict.Create(t.Context(), namespace); err != nil {
		t.Fatal(err)
	}
	full := []string{
		`replicas=3`, `networkPolicy={"enabled":true}`, `keys={"allowHTTP":true,"allowNets":["127.0.0.0/8","::1/128"]}`,
		`imagePullSecrets=[{"name":"a"}]`, `podAnnotations={"a":"b"}`, `podLabels={"a":"b"}`, `priorityClassName="system-cluster-critical"`,
		`nodeSelector={"a":"b"}`, `tolerations=[{"operator":"Exists"}]`, `clusterDomain="cluster.local"`, `serviceAccount={"annotations":{"a":"b"}}`,
		`affinity={"podAntiAffinity":{"preferredDuringSchedulingIgnoredDuringExecution":[]}}`, `sidecar={"image":{"repository":"r","tag":"t"}}`,
		`podDisruptionBudget={"minAvailable":"50%"}`, `admissionPolicies={"action":"Warn"}`,
		`enforce={"exemptServiceAccounts":["shop/backup","a/b"],"allowAnnotations":["capture","exclude-ports"]}`,
	}
	kustomized, err := run(t, kubectl, "kustomize", "../config/default")
	if err != nil {
		t.Fatal(err)
	}
	for name, manifest := range map[string]func() (string, error){
		"by default":                            func() (string, error) { return render(t) },
		"with every value set":                  func() (string, error) { return render(t, full...) },
		"with cert-manager":                     func() (string, error) { return render(t, `certManager={"enabled":true}`) },
		"with a revision":                       func() (string, error) { return render(t, append(full, `revision="blue"`)...) },
		"with a revision, alone in the cluster": func() (string, error) { return render(t, `revision="blue"`, `shared={"create":true}`) },
		"with an issuer of theirs": func() (string, error) {
			return render(t, `certManager={"enabled":true,"issuerRef":{"name":"corp","kind":"ClusterIssuer"}}`)
		},
		"kustomized": func() (string, error) { return kustomized, nil },
	} {
		text, err := manifest()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, o := range objects(t, text) {
			err := strict.Create(t.Context(), o, client.DryRunAll)
			if certificate := strings.HasPrefix(o.GetAPIVersion(), "cert-manager.io/"); certificate && meta.IsNoMatchError(err) {
				continue // there is no cert-manager here
			}
			if o.GetKind() == "Namespace" {
				err = client.IgnoreAlreadyExists(err)
			}
			if err != nil {
				t.Errorf("%s: %s %s: %v", name, o.GetKind(), o.GetName(), err)
			}
		}
	}
}
