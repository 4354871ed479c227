package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Introspection is the state of the questions to issuers about tokens.
type Introspection struct {
	// Running is how many questions run, Endpoints how many endpoints there are, and Open how many of them are left alone, since
	// they fail.
	Running, Endpoints, Open int
	// Used counts, since the process started, how often an answer of before was used.
	Used uint64
}

func newIntrospection() (*prometheus.CounterVec, prometheus.Histogram) {
	asked := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "bearerguard_introspection_requests_total",
		Help: "Questions to issuers about tokens (RFC 7662), by what became of them.",
	}, []string{"result"})
	took := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "bearerguard_introspection_duration_seconds",
		Help:    "Time that issuers took to answer, or to fail to.",
		Buckets: []float64{5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 1e-1, 2.5e-1, 5e-1, 1, 2.5, 5},
	})
	return asked, took
}

// Introspected counts a question to an issuer. The result is one of a closed set; took is 0 if nobody was asked.
func (m *Metrics) Introspected(result string, took time.Duration) {
	m.asked.WithLabelValues(result).Inc()
	if took > 0 {
		m.asking.Observe(took.Seconds())
	}
}

// introspectionCollector reports the state of the questions.
type introspectionCollector struct{ state func() Introspection }

func introspectionDescs() [4]*prometheus.Desc {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("bearerguard_introspection_"+name, help, nil, nil)
	}
	return [4]*prometheus.Desc{
		desc("in_flight", "Questions to issuers that run now."),
		desc("endpoints", "Introspection endpoints that the rules in force name."),
		desc("breakers_open", "Introspection endpoints that are not asked for a moment, since they failed several times in a row."),
		desc("cache_hits_total", "Tokens that issuers had vouched for when asked before, within cacheTTL."),
	}
}

// Describe implements prometheus.Collector.
func (c introspectionCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range introspectionDescs() {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c introspectionCollector) Collect(ch chan<- prometheus.Metric) {
	s, d := c.state(), introspectionDescs()
	for i, n := range []int{s.Running, s.Endpoints, s.Open} {
		ch <- prometheus.MustNewConstMetric(d[i], prometheus.GaugeValue, float64(n))
	}
	ch <- prometheus.MustNewConstMetric(d[3], prometheus.CounterValue, float64(s.Used))
}
