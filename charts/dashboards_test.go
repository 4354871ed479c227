package charts

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/bearerguard/bearerguard/controllers/authpolicy"
	"github.com/bearerguard/bearerguard/controllers/keys"
	"github.com/bearerguard/bearerguard/controllers/push"
	"github.com/bearerguard/bearerguard/controllers/revsource"
	"github.com/bearerguard/bearerguard/hack/freeport"
	"github.com/bearerguard/bearerguard/sidecar/telemetry"
)

// known has the descriptions of what a sidecar and a controller measure, as "fqName: ..., variableLabels: {...}".
func known(t *testing.T) string {
	t.Helper()
	d := &descs{}
	if err := push.NewMetrics().Register(d); err != nil {
		t.Fatal(err)
	}
	if err := keys.NewMetrics().Register(d, nil); err != nil {
		t.Fatal(err)
	}
	d.MustRegister(authpolicy.NewMetrics(), revsource.NewMetrics())
	if _, err := telemetry.NewMetrics(d, telemetry.Sources{
		Pushed: true, Cache: func() (c telemetry.Cache) { return c }, Introspection: func() (i telemetry.Introspection) { return i },
		Proofs: func() (p telemetry.Proofs) { return p }, Freshness: func() (bool, time.Duration, bool) { return true, 0, true },
	}); err != nil {
		t.Fatal(err)
	}
	// These are measured where there is no collector to be had alone: by the webhooks, by cmd/sidecar, and by every process.
	return d.text.String() + `Desc{fqName: "bearerguard_admission_total", help: "", constLabels: {}, variableLabels: {webhook,result,reason}}` +
		`Desc{fqName: "bearerguard_bypassable_ports", help: "", constLabels: {}, variableLabels: {}}` +
		`Desc{fqName: "process_resident_memory_bytes", help: "", constLabels: {}, variableLabels: {}}` +
		`Desc{fqName: "process_cpu_seconds_total", help: "", constLabels: {}, variableLabels: {}}`
}

// dashboards returns those that the chart brings, by the name of their file.
func dashboards(t *testing.T) map[string]map[string]any {
	t.Helper()
	text, err := render(t, `metrics={"dashboards":{"enabled":true,"namespace":"monitoring"}}`)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]map[string]any{}
	for _, o := range objects(t, text) {
		if o.GetKind() != "ConfigMap" || o.GetLabels()["grafana_dashboard"] != "1" {
			continue
		}
		if o.GetNamespace() != "monitoring" {
			t.Errorf("%s is in namespace %s", o.GetName(), o.GetNamespace())
		}
		data, _, _ := unstructured.NestedStringMap(o.Object, "data")
		for name, text := range data {
			var board map[string]any
			if err := json.Unmarshal([]byte(text), &board); err != nil {
				t.Fatal(err)
			}
			out[name] = board
		}
	}
	if len(out) != 3 {
		t.Errorf("%d dashboards", len(out))
	}
	return out
}

// queries returns what a dashboard asks Prometheus, by its panels, with its variables filled in.
func queries(t *testing.T, board map[string]any) map[string]string {
	t.Helper()
	fill := strings.NewReplacer("$__rate_interval", "1m", "$namespace", ".*", "$pod", ".*")
	out := map[string]string{}
	ids := map[any]bool{}
	for _, p := range board["panels"].([]any) {
		panel := p.(map[string]any)
		if ids[panel["id"]] {
			t.Errorf("%v: two panels have the id %v", board["title"], panel["id"])
		}
		ids[panel["id"]] = true
		targets, _ := panel["targets"].([]any)
		for i, target := range targets {
			out[fmt.Sprintf("%v: %v %d", board["title"], panel["title"], i)] = fill.Replace(target.(map[string]any)["expr"].(string))
		}
	}
	return out
}

var (
	metricName = regexp.MustCompile(`(?:bearerguard|process)_\w+`)
	describing = regexp.MustCompile(`fqName: "(\w+)".*?variableLabels: \{([^}]*)\}`)
)

func TestDashboardsAskForMetricsThatThereAre(t *testing.T) {
	t.Parallel()
	all := known(t)
	uids := map[any]bool{}
	for name, board := range dashboards(t) {
		if uids[board["uid"]] {
			t.Errorf("%s: another has its uid", name)
		}
		uids[board["uid"]] = true
		for panel, query := range queries(t, board) {
			for _, metric := range metricName.FindAllString(query, -1) {
				if !strings.Contains(all, `"`+strings.TrimSuffix(metric, "_bucket")+`"`) {
					t.Errorf("%s asks for %s, which nobody measures", panel, metric)
				}
			}
		}
	}
}

// exposition writes a series of each metric, with its labels, that grows.
func exposition(all string, turn int) string {
	var b strings.Builder
	for _, m := range describing.FindAllStringSubmatch(all, -1) {
		var labels []string
		for label := range strings.SplitSeq(m[2], ",") {
			if label != "" {
				labels = append(labels, fmt.Sprintf("%s=%q", label, value(label)))
			}
		}
		set := "{" + strings.Join(labels, ",") + "}"
		if strings.HasSuffix(m[1], "_duration_seconds") || strings.HasSuffix(m[1], "_latency_seconds") {
			for _, le := range []string{"0.1", "1", "+Inf"} {
				fmt.Fprintf(&b, "%s_bucket{le=%q} %d\n", m[1], le, 10*turn)
			}
			continue
		}
		n := 1
		if strings.HasSuffix(m[1], "_total") {
			n = 10 * turn
		}
		if m[1] == "bearerguard_push_connected" {
			n = 0
		}
		fmt.Fprintf(&b, "%s%s %d\n", m[1], set, n)
	}
	return b.String()
}

// value is one that queries and alerts look for.
func value(label string) string {
	switch label {
	case "decision":
		return "deny"
	case "condition":
		return "ResolvedRefs"
	}
	return "x"
}

// Each query of each dashboard gets data from a real Prometheus that scrapes a series of each metric.
func TestEachQueryOfADashboardHasData(t *testing.T) {
	t.Parallel()
	prometheus, err := exec.LookPath("prometheus")
	if err != nil {
		t.Skip("prometheus is not installed: hack/interop/deps.sh installs it")
	}
	all := known(t)
	turns := 0
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		turns++ // one scraper asks
		fmt.Fprint(w, exposition(all, turns))
	}))
	t.Cleanup(target.Close)
	base := startPrometheus(t, prometheus, strings.TrimPrefix(target.URL, "http://"))
	for _, board := range dashboards(t) {
		for panel, query := range queries(t, board) {
			var got string
			if !within(t, func() bool { got = ask(t, base, query); return strings.Contains(got, `"value"`) }) {
				t.Errorf("%s: %s: %s", panel, query, got)
			}
		}
	}
}

// within waits for a condition that another program brings about.
func within(t *testing.T, done func() bool) bool {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		if done() {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
}

func ask(t *testing.T, base, query string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/api/v1/query?query="+url.QueryEscape(query), nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(response.Body); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// startPrometheus starts one that scrapes an address every second, and returns its URL.
func startPrometheus(t *testing.T, program, target string) string {
	t.Helper()
	dir := t.TempDir()
	config := "global: {scrape_interval: 1s}\nscrape_configs:\n- job_name: bearerguard\n  static_configs: [{targets: ['" + target +
		"'], labels: {namespace: shop, pod: orders-1}}]\n  honor_labels: true\n"
	if err := os.WriteFile(filepath.Join(dir, "prometheus.yml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	address := freeport.For(t)
	cmd := exec.CommandContext(t.Context(), program, "--config.file="+filepath.Join(dir, "prometheus.yml"), "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+address, "--log.level=error")
	var log bytes.Buffer
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	})
	return "http://" + address
}
