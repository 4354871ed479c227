package traces

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/hack/freeport"
)

// A real Prometheus that stores exemplars finds, in the sidecar's histogram, the trace of a request that was sampled; and however many hosts,
// paths, ids and keys clients make up, there is no series more.
func TestPrometheusFindsTheTrace(t *testing.T) {
	t.Parallel()
	program, err := exec.LookPath("prometheus")
	if err != nil {
		t.Skip("prometheus is not installed: hack/interop/deps.sh installs it")
	}
	a := newApp(t)
	p := guard(t, a, nil, "--trace-endpoint", newCollector(t, "http/protobuf").url, "--trace-ratio", "0")
	base := startPrometheus(t, program, strings.TrimPrefix(p.admin, "http://"))
	fetch(t, http.DefaultClient, p.url+"/orders/7", "", with(token(), map[string]string{"Traceparent": sampled}))
	start := time.Now().Add(-time.Hour)
	eventually(t, "Prometheus has the exemplar", func() bool {
		query := url.Values{"query": {"bearerguard_request_duration_seconds_bucket"}, "start": {strconv.FormatInt(start.Unix(), 10)}, "end": {strconv.FormatInt(time.Now().Add(time.Hour).Unix(), 10)}}
		_, body := fetch(t, http.DefaultClient, base+"/api/v1/query_exemplars?"+query.Encode(), "", nil)
		return strings.Contains(body, `"trace_id":"`+parentTrace+`"`)
	})
	fetch(t, http.DefaultClient, p.url+"/first", "", nil)
	before := seriesOf(t, p)
	for i := range 2000 {
		header := map[string]string{
			"Authorization": "Bearer eyJhbGciOiJSUzI1NiIsImtpZCI6IjEifQ.e30." + strconv.Itoa(i), "Traceparent": parentOf(strconv.Itoa(i)), "Tracestate": fmt.Sprintf("a%d=1", i),
			"X-Forwarded-Host": fmt.Sprintf("host-%d.example", i),
		}
		if i%2 == 0 {
			delete(header, "Authorization")
		}
		fetch(t, http.DefaultClient, fmt.Sprintf("%s/path-%d?q=%d", p.url, i, i), strconv.Itoa(i), header)
	}
	// What is new are the two reasons that had not been met: no rule and no token of such a form.
	if after := seriesOf(t, p); after > before+4 {
		t.Errorf("%d series became %d", before, after)
	}
}

// seriesOf counts the sidecar's own series.
func seriesOf(t *testing.T, p *process) (n int) {
	t.Helper()
	_, body := fetch(t, http.DefaultClient, p.admin+"/metrics", "", nil)
	for line := range strings.Lines(body) {
		if strings.HasPrefix(line, "bearerguard_") {
			n++
		}
	}
	return n
}

// startPrometheus starts one that scrapes an address every second, and returns its URL.
func startPrometheus(t *testing.T, program, target string) string {
	t.Helper()
	dir := t.TempDir()
	config := "global: {scrape_interval: 1s}\nstorage: {exemplars: {max_exemplars: 1000}}\nscrape_configs:\n- job_name: bearerguard\n  static_configs: [{targets: ['" + target + "']}]\n"
	if err := os.WriteFile(filepath.Join(dir, "prometheus.yml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	address := freeport.For(t)
	cmd := exec.CommandContext(t.Context(), program, "--config.file="+filepath.Join(dir, "prometheus.yml"), "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+address, "--log.level=error", "--enable-feature=exemplar-storage")
	log := &buffer{}
	cmd.Stderr = log
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
