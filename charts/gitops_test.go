package charts

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// settings are sets of values that between them render every template.
var settings = map[string][]string{
	"by default":      nil,
	"with everything": {`revocationSources={"enabled":true,"tls":{"secretName":"events"}}`, `networkPolicy={"enabled":true}`, `rbac={"secrets":"namespaces","namespaces":["shop"],"networkPolicies":true}`, `metrics={"serviceMonitor":{"enabled":true},"podMonitor":{"enabled":true},"prometheusRule":{"enabled":true},"dashboards":{"enabled":true}}`},
	"with a revision": {`revision="blue"`},
	"by cert-manager": {`certManager={"enabled":true}`},
}

// What a GitOps tool renders is the same each time: no certificate, no random name, nothing of the cluster.
func TestRenderingTwiceGivesTheSameBytes(t *testing.T) {
	t.Parallel()
	for name, values := range settings {
		first, err := render(t, values...)
		if err != nil {
			t.Fatal(name, err)
		}
		second, err := render(t, values...)
		if err != nil || first != second {
			t.Errorf("%s: %v\n%s", name, err, cmp.Diff(first, second))
		}
		for _, never := range []string{"caBundle", "BEGIN "} {
			if strings.Contains(first, never) {
				t.Errorf("%s: it has %q: an authority is the controller's to write", name, never)
			}
		}
	}
}

// Templates use no function whose value is another one elsewhere, or the next time. Rendering alone would not show each: most hide behind a condition.
func TestTemplatesAskNobody(t *testing.T) {
	t.Parallel()
	changing := regexp.MustCompile(`\b(lookup|genCA\w*|genSelfSignedCert\w*|genSignedCert\w*|genPrivateKey|derivePassword|rand[A-Z]\w*|shuffle|uuidv4|now|ago|htpasswd|bcrypt|encryptAES|getHostByName|env|expandenv|APIVersions|IsInstall|IsUpgrade|Revision)\b`)
	action := regexp.MustCompile(`(?s){{.*?}}`)
	comment := regexp.MustCompile(`(?s){{-? ?/\*.*?\*/`)
	text := regexp.MustCompile(`"[^"]*"`)
	files, err := filepath.Glob("*/templates/*")
	if err != nil || len(files) < 15 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		if filepath.Base(file) == "NOTES.txt" {
			continue // is no manifest
		}
		template, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range action.FindAllString(comment.ReplaceAllString(string(template), "{{"), -1) {
			if bad := changing.FindString(text.ReplaceAllString(a, "")); bad != "" {
				t.Errorf("%s: %s: %s is not the same wherever the chart is rendered", file, bad, a)
			}
		}
	}
}

// What helm installs, asking a cluster, is byte for byte what a GitOps tool renders without one.
func TestAClusterChangesNothingOfWhatIsRendered(t *testing.T) {
	helm := tool(t, "helm")
	try := liveAPI(t)
	for name, values := range settings {
		if name == "by cert-manager" || name == "with everything" {
			continue // the kinds of others are not there
		}
		args := []string{"bearerguard", "bearerguard", "-n", "bearerguard-system"}
		for _, v := range values {
			args = append(args, "--set-json", v)
		}
		if out, err := try(helm, append([]string{"install", "--create-namespace"}, args...)...); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
		installed, err := try(helm, "get", "manifest", "bearerguard", "-n", "bearerguard-system")
		if err != nil {
			t.Fatal(err)
		}
		rendered, err := render(t, values...)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(strings.TrimSpace(rendered), strings.TrimSpace(installed)); diff != "" {
			t.Errorf("%s: -rendered +installed:\n%s", name, diff)
		}
		if _, err := try(helm, "uninstall", "bearerguard", "-n", "bearerguard-system"); err != nil {
			t.Fatal(err)
		}
	}
}

// A cluster that is too old is refused where it is known, and what to do is said where it is made up.
func TestAnOldKubernetesIsRefused(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]string{
		"1.32.4":              "Kubernetes is v1.32.4; want at least 1.33, which has native sidecar containers. Without a cluster helm makes a version up: say which it is by --kube-version",
		"1.33.0":              "",
		"v1.33.0-gke.1":       "",
		"v1.34.1-eks-113cf36": "",
	} {
		_, err := run(t, tool(t, "helm"), "template", "bearerguard", "bearerguard", "-n", "bearerguard-system", "--kube-version", version)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %v, want %q", version, err, want)
		}
	}
}

// A default inside an item of a list is drift for ever to tools that merge on their side: a merge patch has lists whole, and the one in git
// lacks what the API server adds.
func TestNoItemOfAListHasADefault(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../config/crd/bearerguard.dev_*.yaml")
	if err != nil || len(files) < 4 {
		t.Fatal(files, err)
	}
	var walk func(at string, node any, inList bool)
	walk = func(at string, node any, inList bool) {
		schema, ok := node.(map[string]any)
		if !ok {
			return
		}
		if _, ok := schema["default"]; ok && inList {
			t.Errorf("%s has a default; want the empty value to mean it", at)
		}
		properties, _ := schema["properties"].(map[string]any)
		for name, p := range properties {
			walk(at+"."+name, p, inList)
		}
		walk(at+"[]", schema["items"], true)
		walk(at+"[*]", schema["additionalProperties"], inList)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, crd := range objects(t, string(text)) {
			versions, _, _ := unstructured.NestedSlice(crd.Object, "spec", "versions")
			for _, v := range versions {
				schema, _, _ := unstructured.NestedMap(v.(map[string]any), "schema", "openAPIV3Schema")
				if schema["properties"] == nil {
					t.Fatalf("%s has no schema", file)
				}
				walk(crd.GetName(), schema, false)
			}
		}
	}
}
