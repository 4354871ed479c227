package revsource

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bearerguard/bearerguard/api/v1alpha1"
)

// The results of an event.
const (
	resultStored      = "stored"
	resultIgnored     = "ignored"
	resultDuplicate   = "duplicate"
	resultRefused     = "refused"
	resultUnavailable = "unavailable"
	resultLimited     = "limited"
	resultUnknown     = "unknown"
)

// Metrics count events, on every replica, and tell what the statuses of sources tell, on the one that writes them.
type Metrics struct {
	events                 *prometheus.CounterVec
	entries, last, problem *prometheus.Desc

	mu     sync.Mutex
	spaces map[string]map[string]v1alpha1.RevocationSourceStatus // guarded by mu; by namespace and name
}

var _ prometheus.Collector = (*Metrics)(nil)

// NewMetrics returns metrics of no source.
func NewMetrics() *Metrics {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("bearerguard_revocation_source_"+name, help, append([]string{"namespace", "source"}, labels...), nil)
	}
	return &Metrics{
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "bearerguard_revocation_events_total",
			Help: "Events of RevocationSources by result: stored, ignored (nothing to take back), duplicate, refused, unavailable (to be sent again); limited and unknown are requests " +
				"of too many and for no source.",
		}, []string{"namespace", "source", "result"}),
		entries: desc("entries", "Entries that are kept of what a RevocationSource has taken back."),
		last:    desc("last_event_timestamp_seconds", "When the last event of a RevocationSource came, in seconds since 1970; to a minute or so."),
		problem: desc("problem", "Conditions of a RevocationSource that are not as they should be; the value is 1.", "condition", "reason"),
		spaces:  map[string]map[string]v1alpha1.RevocationSourceStatus{},
	}
}

func (m *Metrics) count(s *served, result string) {
	namespace, name := "", ""
	if s != nil {
		namespace, name = s.ref.Namespace, s.ref.Name
	}
	m.events.WithLabelValues(namespace, name, result).Inc()
}

// set says how the sources of a namespace stand, by name.
func (m *Metrics) set(namespace string, statuses map[string]v1alpha1.RevocationSourceStatus) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(statuses) == 0 {
		delete(m.spaces, namespace)
		return
	}
	m.spaces[namespace] = statuses
}

// forget drops what was counted of a source.
func (m *Metrics) forget(namespace, name string) {
	m.events.DeletePartialMatch(prometheus.Labels{"namespace": namespace, "source": name})
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(c chan<- *prometheus.Desc) {
	m.events.Describe(c)
	c <- m.entries
	c <- m.last
	c <- m.problem
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(c chan<- prometheus.Metric) {
	m.events.Collect(c)
	m.mu.Lock()
	defer m.mu.Unlock()
	for namespace, statuses := range m.spaces {
		for name, s := range statuses {
			c <- prometheus.MustNewConstMetric(m.entries, prometheus.GaugeValue, float64(s.Entries), namespace, name)
			if s.LastEvent != nil {
				c <- prometheus.MustNewConstMetric(m.last, prometheus.GaugeValue, float64(s.LastEvent.Unix()), namespace, name)
			}
			for _, x := range s.Conditions {
				if x.Status == metav1.ConditionFalse {
					c <- prometheus.MustNewConstMetric(m.problem, prometheus.GaugeValue, 1, namespace, name, x.Type, x.Reason)
				}
			}
		}
	}
}
