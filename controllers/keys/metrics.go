package keys

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are the metrics of a Resolver.
type Metrics struct {
	failures *prometheus.CounterVec
}

// NewMetrics returns metrics that start at zero.
func NewMetrics() *Metrics {
	m := &Metrics{failures: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "bearerguard_keyset_fetch_failures_total",
		Help: "Reads of a key source that failed or whose content was refused, by the kind of source.",
	}, []string{"source"})}
	for _, kind := range []string{"secret", "configmap", "kubernetes", "discovery", "url", "inline", "spiffe"} {
		m.failures.WithLabelValues(kind)
	}
	return m
}

func (m *Metrics) failed(kind string) { m.failures.WithLabelValues(kind).Inc() }

// Register registers the metrics, and the age of the oldest key set of r, with reg.
func (m *Metrics) Register(reg prometheus.Registerer, r *Resolver) error {
	if err := reg.Register(m.failures); err != nil {
		return err
	}
	return reg.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "bearerguard_keyset_age_seconds",
		Help: "Time since the key set that is read with success the longest ago was so read; 0 without key sets.",
	}, func() float64 { return r.oldest(time.Now()).Seconds() }))
}

// oldest is how long ago the source was read that was read with success the longest ago. Inline sets have no age.
func (r *Resolver) oldest(now time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	var most time.Duration
	for _, e := range r.entries {
		if s := r.state(e); s.Keys > 0 && e.source.kind() != "inline" {
			most = max(most, now.Sub(s.Fetched))
		}
	}
	return most
}
