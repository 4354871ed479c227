package charts

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/bearerguard/bearerguard/controllers/cell"
)

// releases are what helm renders for three releases in namespaces of their own, by revision.
func releases(t *testing.T, values ...string) map[string][]*unstructured.Unstructured {
	t.Helper()
	out := map[string][]*unstructured.Unstructured{}
	for _, revision := range []string{"", "blue", "green"} {
		args := []string{"template", "bearerguard", "bearerguard", "-n", "bearerguard" + revision, "--set-json", `revision="` + revision + `"`}
		for _, v := range values {
			args = append(args, "--set-json", v)
		}
		text, err := run(t, tool(t, "helm"), args...)
		if err != nil {
			t.Fatal(err)
		}
		out[revision] = objects(t, text)
	}
	return out
}

func TestReleasesHaveNoObjectInCommon(t *testing.T) {
	t.Parallel()
	for _, values := range [][]string{nil, {
		`certManager={"enabled":true}`, `networkPolicy={"enabled":true}`, `metrics={"prometheusRule":{"enabled":true}}`,
		`rbac={"secrets":"namespaces","namespaces":["shop","lab"]}`,
	}} {
		whose := map[string]string{}
		for revision, all := range releases(t, values...) {
			for _, o := range all {
				id := strings.Join([]string{o.GroupVersionKind().GroupKind().String(), o.GetNamespace(), o.GetName()}, " ")
				if other, ok := whose[id]; ok {
					t.Errorf("%s is of the releases %q and %q: helm would not install the second", id, other, revision)
				}
				whose[id] = revision
			}
		}
	}
}

func TestNoWebhookIsAskedAboutNamespacesOfAnotherRelease(t *testing.T) {
	t.Parallel()
	for revision, all := range releases(t) {
		hooks := 0
		for _, o := range all {
			if !strings.HasSuffix(o.GetKind(), "WebhookConfiguration") {
				continue
			}
			list, _, err := unstructured.NestedSlice(o.Object, "webhooks")
			if err != nil {
				t.Fatal(err)
			}
			for _, h := range list {
				hooks++
				s := selectorOf(t, h.(map[string]any))
				for _, of := range []string{"", "blue", "green", "red"} {
					ns := labels.Set{"kubernetes.io/metadata.name": "shop", "bearerguard.dev/inject": "enabled", "bearerguard.dev/enforce": "true"}
					if of != "" {
						ns["bearerguard.dev/revision"] = of
					}
					if got := s.Matches(ns); got != (of == revision) {
						t.Errorf("%s %s of revision %q is asked about namespaces of revision %q: %v", o.GetKind(), h.(map[string]any)["name"], revision, of, got)
					}
				}
			}
		}
		if hooks != 8 {
			t.Errorf("%d webhooks, want 8", hooks)
		}
	}
}

func selectorOf(t *testing.T, hook map[string]any) labels.Selector {
	t.Helper()
	var s metav1.LabelSelector
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(hook["namespaceSelector"].(map[string]any), &s); err != nil {
		t.Fatal(err)
	}
	out, err := metav1.LabelSelectorAsSelector(&s)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// What the controller is told is what its webhooks are asked about, and what it may touch goes by its own names.
func TestTheControllerIsToldItsRevision(t *testing.T) {
	t.Parallel()
	for revision, all := range releases(t) {
		var told, selector string
		for _, o := range all {
			if o.GetKind() != "Deployment" {
				continue
			}
			containers, _, _ := unstructured.NestedSlice(o.Object, "spec", "template", "spec", "containers")
			args, _, _ := unstructured.NestedStringSlice(containers[0].(map[string]any), "args")
			for _, a := range args {
				if v, ok := strings.CutPrefix(a, "--revision="); ok {
					told = v
				}
				if v, ok := strings.CutPrefix(a, "--namespace-selector="); ok {
					selector = v
				}
			}
		}
		c, err := cell.New(told, selector)
		if err != nil || told != revision || c.All() {
			t.Fatalf("revision %q: told %q and %q: %v", revision, told, selector, err)
		}
		for _, of := range []string{"", "blue", "green", "red"} {
			ns := map[string]string{"bearerguard.dev/revision": of}
			if of == "" {
				ns = nil
			}
			if c.Owns(ns) != (of == revision) {
				t.Errorf("the controller of revision %q serves namespaces of revision %q: %v", revision, of, c.Owns(ns))
			}
		}
		names := map[string]bool{}
		for _, o := range all {
			names[o.GetKind()+" "+o.GetName()] = true
		}
		for _, want := range []string{"ClusterRole bearerguard-controller", "MutatingWebhookConfiguration bearerguard", "ValidatingWebhookConfiguration bearerguard", "PriorityClass bearerguard-controller"} {
			if kind, base, _ := strings.Cut(want, " "); !names[kind+" "+c.Name(base)] {
				t.Errorf("revision %q: no %s %s, by which the controller knows it", revision, kind, c.Name(base))
			}
		}
	}
}

func TestOneReleaseMakesWhatAllShare(t *testing.T) {
	t.Parallel()
	shared := []string{"CustomResourceDefinition authpolicies.bearerguard.dev", "ValidatingAdmissionPolicy bearerguard-asked", "ValidatingAdmissionPolicy bearerguard-enforced"}
	for values, want := range map[string]bool{
		`revision=""`:                            true,
		`revision="blue"`:                        false,
		`shared={"create":true} revision="blue"`: true,
		`shared={"create":false}`:                false,
	} {
		text, err := render(t, strings.Fields(values)...)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]bool{}
		for _, o := range objects(t, text) {
			got[o.GetKind()+" "+o.GetName()] = true
		}
		for _, name := range shared {
			if got[name] != want {
				t.Errorf("%s: %s made %v, want %v", values, name, got[name], want)
			}
		}
	}
}
