package otlp

import (
	"github.com/prometheus/client_golang/prometheus"
)

// Metrics report what became of spans.
type Metrics struct {
	counts func() Counts
	over   func() uint64
}

var _ prometheus.Collector = Metrics{}

// NewMetrics returns a collector of what became of spans, and of how many traces there are not since there were too many.
func NewMetrics(counts func() Counts, over func() uint64) Metrics { return Metrics{counts, over} }

func spansDesc() *prometheus.Desc {
	return prometheus.NewDesc("bearerguard_trace_spans_total",
		"Spans by what became of them: sent, rejected by the collector, no_room (too many waited), or failed (the collector could not be reached, or did not want them).",
		[]string{"result"}, nil)
}

func overDesc() *prometheus.Desc {
	return prometheus.NewDesc("bearerguard_trace_over_rate_total", "Traces that were to be made, but for --trace-rate.", nil, nil)
}

// Describe implements prometheus.Collector.
func (m Metrics) Describe(ch chan<- *prometheus.Desc) {
	ch <- spansDesc()
	ch <- overDesc()
}

// Collect implements prometheus.Collector.
func (m Metrics) Collect(ch chan<- prometheus.Metric) {
	c := m.counts()
	for _, one := range []struct {
		result string
		n      uint64
	}{{"sent", c.Sent}, {"rejected", c.Rejected}, {"no_room", c.NoRoom}, {"failed", c.Failed}} {
		ch <- prometheus.MustNewConstMetric(spansDesc(), prometheus.CounterValue, float64(one.n), one.result)
	}
	ch <- prometheus.MustNewConstMetric(overDesc(), prometheus.CounterValue, float64(m.over()))
}
