package charts

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// Monitors find the controllers' Service alone, by a name that the certificate has, and sidecars by the label that they have.
func TestMonitors(t *testing.T) {
	t.Parallel()
	text, err := render(t, `metrics={"serviceMonitor":{"enabled":true,"labels":{"release":"prometheus"}},"podMonitor":{"enabled":true}}`, `revocationSources={"enabled":true}`)
	if err != nil {
		t.Fatal(err)
	}
	var selector map[string]string
	found := map[string]*unstructured.Unstructured{}
	for _, o := range objects(t, text) {
		found[o.GetKind()+"/"+o.GetName()] = o
	}
	monitor := found["ServiceMonitor/bearerguard"]
	if monitor == nil || found["PodMonitor/bearerguard-sidecars"] == nil {
		t.Fatal("there is no monitor")
	}
	selector, _, _ = unstructured.NestedStringMap(monitor.Object, "spec", "selector", "matchLabels")
	var picked []string
	for name, o := range found {
		if o.GetKind() == "Service" && fits(selector, o.GetLabels()) {
			picked = append(picked, name)
		}
	}
	if len(picked) != 1 || picked[0] != "Service/bearerguard-metrics" {
		t.Errorf("the ServiceMonitor picks %v", picked)
	}
	if !strings.Contains(text, "serverName: bearerguard-push.bearerguard-system.svc") || monitor.GetLabels()["release"] != "prometheus" {
		t.Errorf("%v", monitor.Object)
	}
	labels, _, _ := unstructured.NestedStringMap(found["PodMonitor/bearerguard-sidecars"].Object, "spec", "selector", "matchLabels")
	if labels["bearerguard.dev/injected"] != "true" {
		t.Errorf("the PodMonitor picks %v", labels)
	}
}

func fits(selector, labels map[string]string) bool {
	for name, value := range selector {
		if labels[name] != value {
			return false
		}
	}
	return true
}

// Prometheus's own promtool has each alert fire, by testdata/alerts.yaml, after its time and not before.
func TestAlertsFire(t *testing.T) {
	t.Parallel()
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed: hack/interop/deps.sh installs it")
	}
	text, err := render(t, `metrics={"prometheusRule":{"enabled":true}}`)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	tests, err := os.ReadFile("testdata/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range objects(t, text) {
		if o.GetKind() != "PrometheusRule" {
			continue
		}
		for _, rule := range rulesOf(t, o) {
			if name := rule["alert"].(string); !strings.Contains(string(tests), "alertname: "+name) {
				t.Errorf("testdata/alerts.yaml does not have %s fire", name)
			}
		}
		rules, err := yaml.Marshal(o.Object["spec"])
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "rules.yaml"), rules, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "alerts.yaml"), tests, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), promtool, "test", "rules", filepath.Join(dir, "alerts.yaml")).CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
