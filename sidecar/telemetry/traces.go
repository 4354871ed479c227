package telemetry

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/bearerguard/bearerguard/api/otlp"
)

// Traces reports what became of spans.
type Traces struct {
	counts func() otlp.Counts
	over   func() uint64
}

var _ prometheus.Collector = Traces{}

// NewTraces returns a collector of what became of spans, and of how many requests there was no trace of since there were too many.
func NewTraces(counts func() otlp.Counts, over func() uint64) Traces { return Traces{counts, over} }

func spansDesc() *prometheus.Desc {
	return prometheus.NewDesc("bearerguard_trace_spans_total",
		"Spans by what became of them: sent, rejected by the collector, no_room (too many waited), or failed (the collector could not be reached, or did not want them).",
		[]string{"result"}, nil)
}

func overDesc() *prometheus.Desc {
	return prometheus.NewDesc("bearerguard_trace_over_rate_total", "Requests that were to be traced, but for --trace-rate.", nil, nil)
}

// Describe implements prometheus.Collector.
func (t Traces) Describe(ch chan<- *prometheus.Desc) {
	ch <- spansDesc()
	ch <- overDesc()
}

// Collect implements prometheus.Collector.
func (t Traces) Collect(ch chan<- prometheus.Metric) {
	c := t.counts()
	for _, one := range []struct {
		result string
		n      uint64
	}{{"sent", c.Sent}, {"rejected", c.Rejected}, {"no_room", c.NoRoom}, {"failed", c.Failed}} {
		ch <- prometheus.MustNewConstMetric(spansDesc(), prometheus.CounterValue, float64(one.n), one.result)
	}
	ch <- prometheus.MustNewConstMetric(overDesc(), prometheus.CounterValue, float64(t.over()))
}
