package telemetry

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/tracing"
)

// openMetrics is what a Prometheus that wants exemplars gets.
func openMetrics(t *testing.T, reg *prometheus.Registry) string {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", http.NoBody)
	r.Header.Set("Accept", "application/openmetrics-text; version=1.0.0")
	w := httptest.NewRecorder()
	promhttp.HandlerFor(reg, promhttp.HandlerOpts{EnableOpenMetrics: true}).ServeHTTP(w, r)
	return w.Body.String()
}

// However many traces there are, a bucket has one exemplar; and what is not traced has none.
func TestExemplarsAreOfTracesAloneAndBounded(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewPedanticRegistry()
	m, err := NewMetrics(reg, Sources{})
	if err != nil {
		t.Fatal(err)
	}
	untraced := Record{Forwarded: true, Reason: decision.Allowed, Own: 3 * time.Microsecond}
	m.Request(&untraced)
	if text := openMetrics(t, reg); strings.Contains(text, "trace_id") {
		t.Errorf("a request without a trace has an exemplar:\n%s", text)
	}
	exemplar := regexp.MustCompile(`bearerguard_request_duration_seconds_bucket\{le="[^"]+"\} \d+ # \{trace_id="([0-9a-f]{32})"\} [0-9.e+-]+`)
	for i := range 5000 {
		m.Request(&Record{
			Forwarded: true, Reason: decision.Allowed, Own: time.Duration(i) * 50 * time.Microsecond,
			Trace: tracing.TraceID{byte(i >> 8), byte(i), 1},
		})
	}
	text := openMetrics(t, reg)
	found := exemplar.FindAllString(text, -1)
	if all := strings.Count(text, "trace_id"); len(found) != all || all == 0 || all > 14 {
		t.Errorf("%d exemplars, %d of the histogram:\n%s", all, len(found), text)
	}
}
