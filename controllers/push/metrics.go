package push

import "github.com/prometheus/client_golang/prometheus"

// Metrics are the metrics of a Server.
type Metrics struct {
	streams prometheus.Gauge
	latency prometheus.Histogram
	nacks   prometheus.Counter
}

// NewMetrics returns metrics that start at zero.
func NewMetrics() *Metrics {
	return &Metrics{
		streams: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "bearerguard_push_streams",
			Help: "Sidecars connected to this replica.",
		}),
		latency: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "bearerguard_push_latency_seconds",
			Help:    "From a bundle being compiled to a sidecar's acknowledgement of it.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}),
		nacks: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "bearerguard_push_nacks_total",
			Help: "Bundles that a sidecar refused.",
		}),
	}
}

// Register registers the metrics with r.
func (m *Metrics) Register(r prometheus.Registerer) error {
	for _, c := range []prometheus.Collector{m.streams, m.latency, m.nacks} {
		if err := r.Register(c); err != nil {
			return err
		}
	}
	return nil
}
