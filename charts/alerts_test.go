package charts

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/bearerguard/bearerguard/controllers/authpolicy"
	"github.com/bearerguard/bearerguard/controllers/push"
	"github.com/bearerguard/bearerguard/controllers/revsource"
)

// descs registers metrics by collecting their descriptions.
type descs struct{ text strings.Builder }

func (d *descs) Register(c prometheus.Collector) error {
	all := make(chan *prometheus.Desc)
	go func() { c.Describe(all); close(all) }()
	for x := range all {
		d.text.WriteString(x.String())
	}
	return nil
}

func (d *descs) MustRegister(all ...prometheus.Collector) {
	for _, c := range all {
		_ = d.Register(c) // never fails
	}
}

func (d *descs) Unregister(prometheus.Collector) bool { return false }

func TestAlertsAreOfMetricsThatThereAreAndExplained(t *testing.T) {
	t.Parallel()
	if text, err := render(t); err != nil || strings.Contains(text, "PrometheusRule") {
		t.Errorf("by default there are alerts, which need the Prometheus operator (%v)", err)
	}
	text, err := render(t, `metrics={"prometheusRule":{"enabled":true,"labels":{"release":"prometheus"}}}`)
	if err != nil {
		t.Fatal(err)
	}
	known := &descs{}
	if err := push.NewMetrics().Register(known); err != nil {
		t.Fatal(err)
	}
	known.MustRegister(authpolicy.NewMetrics())
	known.MustRegister(revsource.NewMetrics())
	operations, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	alerts := 0
	for _, o := range objects(t, text) {
		if o.GetKind() != "PrometheusRule" {
			continue
		}
		if o.GetLabels()["release"] != "prometheus" {
			t.Errorf("labels %v", o.GetLabels())
		}
		for _, rule := range rulesOf(t, o) {
			alerts++
			name, _, _ := unstructured.NestedString(rule, "alert")
			expr, _, _ := unstructured.NestedString(rule, "expr")
			metrics := slices.Compact(regexp.MustCompile(`bearerguard_\w+`).FindAllString(expr, -1))
			if len(metrics) != 1 || !strings.Contains(known.text.String(), `"`+metrics[0]+`"`) {
				t.Errorf("%s asks for %v; the controller has no such metric", name, metrics)
			}
			if !strings.Contains(string(operations), "`"+name+"`") {
				t.Errorf("docs/operations.md does not say what to do about %s", name)
			}
		}
	}
	if alerts != 7 {
		t.Errorf("%d alerts, want 7", alerts)
	}
}

func rulesOf(t *testing.T, o *unstructured.Unstructured) []map[string]any {
	t.Helper()
	groups, _, err := unstructured.NestedSlice(o.Object, "spec", "groups")
	if err != nil {
		t.Fatal(err)
	}
	var out []map[string]any
	for _, g := range groups {
		rules, _, err := unstructured.NestedSlice(g.(map[string]any), "rules")
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rules {
			out = append(out, r.(map[string]any))
		}
	}
	return out
}
