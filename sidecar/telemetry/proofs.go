package telemetry

import "github.com/prometheus/client_golang/prometheus"

// Proofs is the state of the memory of DPoP proofs.
type Proofs struct {
	// Remembered is how many there are now.
	Remembered int
	// Forgotten is how many, since the process started, had to be forgotten while they were fresh.
	Forgotten uint64
}

// proofCollector reports the state of the memory of proofs.
type proofCollector struct{ state func() Proofs }

func proofDescs() [2]*prometheus.Desc {
	return [2]*prometheus.Desc{
		prometheus.NewDesc("bearerguard_dpop_proofs", "DPoP proofs (RFC 9449) that are remembered, so that none of them is taken again.", nil, nil),
		prometheus.NewDesc("bearerguard_dpop_proofs_forgotten_total", "DPoP proofs that were forgotten while they were fresh, since there was no room: they could be used again.", nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (c proofCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range proofDescs() {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c proofCollector) Collect(ch chan<- prometheus.Metric) {
	s, d := c.state(), proofDescs()
	ch <- prometheus.MustNewConstMetric(d[0], prometheus.GaugeValue, float64(s.Remembered))
	ch <- prometheus.MustNewConstMetric(d[1], prometheus.CounterValue, float64(s.Forgotten))
}
