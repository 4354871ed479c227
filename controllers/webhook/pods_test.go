package webhook_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/bearerguard/bearerguard/controllers/inject"
	"github.com/bearerguard/bearerguard/controllers/webhook"
)

// corpus holds the cases of package inject: the webhook must give the same answers.
const corpus = "../inject/testdata/inject"

func TestPodsOfTheInjectionCorpus(t *testing.T) {
	t.Parallel()
	ins, err := filepath.Glob(filepath.Join(corpus, "*.in.yaml"))
	if err != nil || len(ins) == 0 {
		t.Fatalf("no cases in %s: %v", corpus, err)
	}
	for _, in := range ins {
		name := strings.TrimSuffix(filepath.Base(in), ".in.yaml")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := readOverrides(t, name)
			if o.ClusterDomain != "" || o.Version != "" || o.LogLevel != "" {
				t.Skip("differs in the controller's own configuration")
			}
			h := serveWith(t, func(c *webhook.Config) {
				c.Inject.Flags, c.Inject.ImagePullSecrets = o.Flags, o.ImagePullSecrets
				if o.CPULimit != "" {
					c.Inject.CPULimit = resource.MustParse(o.CPULimit)
				}
				if o.NoIDs {
					c.Inject.RunAsUser, c.Inject.RunAsGroup = nil, nil
				}
			}, inject.Namespace{Name: o.Namespace, Labels: o.NamespaceLabels, Annotations: o.NamespaceAnnotations})
			raw := withUnknownFields(t, read(t, in))
			resp := h.review(t, webhook.PodsPath, podRequest(o.Namespace, raw))
			checkAnswer(t, read(t, filepath.Join(corpus, name+".out.yaml")), raw, resp)
			wantPublished := 0
			if resp.Patch != nil {
				wantPublished = 1
			}
			if got := h.publishedTo(); len(got) != wantPublished {
				t.Errorf("certificate authority published to %v", got)
			}
		})
	}
}

func podRequest(namespace string, raw []byte) admissionv1.AdmissionRequest {
	return admissionv1.AdmissionRequest{
		Kind: kind("", "v1", "Pod"), Namespace: namespace, Object: runtime.RawExtension{Raw: raw},
	}
}

// checkAnswer holds an answer against a golden file of package inject.
func checkAnswer(t *testing.T, golden, raw []byte, resp *admissionv1.AdmissionResponse) {
	t.Helper()
	head, warnings := splitGolden(string(golden))
	if diff := cmp.Diff(warnings, resp.Warnings); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
	if message, ok := strings.CutPrefix(head, "refused: "); ok {
		if resp.Allowed || resp.Result.Message != message {
			t.Errorf("allowed %v, message %q; want it refused with %q", resp.Allowed, resp.Result.Message, message)
		}
		return
	}
	if !resp.Allowed {
		t.Fatalf("refused: %s", resp.Result.Message)
	}
	if head != string(inject.Injected) {
		if resp.Patch != nil {
			t.Errorf("%s, but patched: %s", head, resp.Patch)
		}
		return
	}
	var want, got corev1.Pod
	if err := yaml.Unmarshal(golden, &want); err != nil {
		t.Fatal(err)
	}
	patched := apply(t, raw, resp)
	if err := json.Unmarshal(patched, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("patched pod (-want +got):\n%s", diff)
	}
	checkUnknownFields(t, patched)
}

// splitGolden returns the first line (refusals joined) and the warnings of a golden file.
func splitGolden(golden string) (head string, warnings []string) {
	var heads []string
	for line := range strings.Lines(golden) {
		text, ok := strings.CutPrefix(strings.TrimRight(line, "\n"), "# ")
		if !ok {
			break
		}
		if w, ok := strings.CutPrefix(text, "warning: "); ok {
			warnings = append(warnings, w)
		} else {
			heads = append(heads, text)
		}
	}
	return strings.ReplaceAll(strings.Join(heads, "\n"), "\nrefused: ", "\n"), warnings
}

// withUnknownFields returns the pod as JSON with a field in every place that a newer Kubernetes might add.
func withUnknownFields(t *testing.T, pod []byte) []byte {
	t.Helper()
	var m map[string]any
	if err := yaml.Unmarshal(pod, &m); err != nil {
		t.Fatal(err)
	}
	spec := m["spec"].(map[string]any)
	spec["fromTheFuture"] = true
	eachContainer(spec, func(c map[string]any) { c["fromTheFuture"] = c["name"] })
	return toJSON(t, m)
}

// checkUnknownFields holds that each unknown field is where it was, and only there.
func checkUnknownFields(t *testing.T, pod []byte) {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(pod, &m); err != nil {
		t.Fatal(err)
	}
	spec := m["spec"].(map[string]any)
	if spec["fromTheFuture"] != true {
		t.Error("the pod has lost a field that is not known")
	}
	eachContainer(spec, func(c map[string]any) {
		ours := c["name"] == inject.SidecarName || c["name"] == inject.CaptureName
		if want := c["name"]; (ours && c["fromTheFuture"] != nil) || (!ours && c["fromTheFuture"] != want) {
			t.Errorf("container %v has the unknown field %v", c["name"], c["fromTheFuture"])
		}
	})
}

func eachContainer(spec map[string]any, do func(map[string]any)) {
	for _, list := range []string{"initContainers", "containers"} {
		items, _ := spec[list].([]any)
		for _, c := range items {
			do(c.(map[string]any))
		}
	}
}

func TestPodPatchOfASecondInjectionIsExact(t *testing.T) {
	t.Parallel()
	h := serve(t, inject.Namespace{Name: "shop"})
	raw := withUnknownFields(t, read(t, filepath.Join(corpus, "probes.in.yaml")))
	first := apply(t, raw, h.review(t, webhook.PodsPath, podRequest("shop", raw)))
	again := h.review(t, webhook.PodsPath, podRequest("shop", first))
	if again.Patch != nil {
		t.Errorf("a second call patches: %s", again.Patch)
	}
	newer := serveWith(t, func(c *webhook.Config) { c.Inject.Version, c.Inject.Image = "v2", "bearerguard.test/bearerguard:v2" },
		inject.Namespace{Name: "shop"})
	patched := apply(t, first, newer.review(t, webhook.PodsPath, podRequest("shop", first)))
	direct := apply(t, raw, newer.review(t, webhook.PodsPath, podRequest("shop", raw)))
	var a, b any
	if err := errors.Join(json.Unmarshal(patched, &a), json.Unmarshal(direct, &b)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(b, a); diff != "" {
		t.Errorf("upgrading an injected pod differs from injecting it (-direct +upgraded):\n%s", diff)
	}
}

func TestPodDryRunPublishesNothing(t *testing.T) {
	t.Parallel()
	h := serve(t, inject.Namespace{Name: "shop"})
	raw := withUnknownFields(t, read(t, filepath.Join(corpus, "minimal.in.yaml")))
	req := podRequest("shop", raw)
	req.DryRun = new(true)
	if resp := h.review(t, webhook.PodsPath, req); !resp.Allowed || resp.Patch == nil {
		t.Errorf("not injected: %+v", resp)
	}
	if got := h.publishedTo(); len(got) != 0 {
		t.Errorf("published to %v", got)
	}
}

func TestPodIsRefusedWhenItCannotBeServed(t *testing.T) {
	t.Parallel()
	raw := func(t *testing.T) []byte {
		return withUnknownFields(t, read(t, filepath.Join(corpus, "minimal.in.yaml")))
	}
	t.Run("the certificate authority cannot be published", func(t *testing.T) {
		t.Parallel()
		h := serveWith(t, func(c *webhook.Config) {
			c.PublishCA = func(context.Context, string) error { return errors.New("quota exceeded") }
		}, inject.Namespace{Name: "shop"})
		resp := h.review(t, webhook.PodsPath, podRequest("shop", raw(t)))
		if want := "publish the certificate authority for the pod: quota exceeded"; resp.Allowed || resp.Result.Message != want {
			t.Errorf("got %+v, want it refused: %s", resp, want)
		}
	})
	t.Run("the namespace cannot be read", func(t *testing.T) {
		t.Parallel()
		resp := serve(t).review(t, webhook.PodsPath, podRequest("shop", raw(t)))
		if want := `read namespace of pod: namespaces "shop" not found`; resp.Allowed || resp.Result.Message != want {
			t.Errorf("got %+v, want it refused: %s", resp, want)
		}
	})
	t.Run("it is no pod", func(t *testing.T) {
		t.Parallel()
		resp := serve(t, inject.Namespace{Name: "shop"}).review(t, webhook.PodsPath, podRequest("shop", []byte(`{"kind":"Service","apiVersion":"v1"}`)))
		if resp.Allowed {
			t.Error("a Service passes for a pod")
		}
	})
}

type overrides struct {
	Namespace       string            `json:"namespace"`
	NamespaceLabels map[string]string `json:"namespaceLabels"`
	ClusterDomain   string            `json:"clusterDomain"`
	Version         string            `json:"version"`
	LogLevel        string            `json:"logLevel"`
	// Further settings of the controller.
	Flags            map[string]string `json:"flags"`
	CPULimit         string            `json:"cpuLimit"`
	ImagePullSecrets []string          `json:"imagePullSecrets"`
	NoIDs            bool              `json:"noIDs"`
	// NamespaceAnnotations are on the pod's namespace.
	NamespaceAnnotations map[string]string `json:"namespaceAnnotations"`
}

func readOverrides(t *testing.T, name string) overrides {
	t.Helper()
	o := overrides{Namespace: "shop"}
	text, err := os.ReadFile(filepath.Join(corpus, name+".cfg.yaml"))
	if errors.Is(err, os.ErrNotExist) {
		return o
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.UnmarshalStrict(text, &o); err != nil {
		t.Fatal(err)
	}
	return o
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
