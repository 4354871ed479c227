package authpolicy

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/bearerguard/bearerguard/api/v1alpha1"
)

// Metrics tell what the statuses of policies tell, on the replica that writes them, and how often something was compiled. The former
// are made of statuses when they are read.
type Metrics struct {
	compiles                         prometheus.Counter
	unguarded, disconnected, problem *prometheus.Desc

	mu     sync.Mutex
	spaces map[string]map[string]v1alpha1.AuthPolicyStatus // guarded by mu; by namespace and name
}

var _ prometheus.Collector = (*Metrics)(nil)

// NewMetrics returns metrics of no policy.
func NewMetrics() *Metrics {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("bearerguard_"+name, help, append([]string{"namespace", "policy"}, labels...), nil)
	}
	return &Metrics{
		compiles: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "bearerguard_compiles_total", Help: "Compilations of namespaces in which a policy, a key set or the labels of a pod were new.",
		}),
		unguarded:    desc("unguarded_pods", "Live pods that a policy selects and that run without a sidecar."),
		disconnected: desc("disconnected_sidecars", "Sidecars of pods that a policy selects which are out of touch with the controller."),
		problem:      desc("policy_problem", "Conditions of a policy that are not as they should be; the value is 1.", "condition", "reason"),
		spaces:       map[string]map[string]v1alpha1.AuthPolicyStatus{},
	}
}

// set says how the policies of a namespace stand, by name.
func (m *Metrics) set(namespace string, statuses map[string]v1alpha1.AuthPolicyStatus) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(statuses) == 0 {
		delete(m.spaces, namespace)
		return
	}
	m.spaces[namespace] = statuses
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(c chan<- *prometheus.Desc) {
	m.compiles.Describe(c)
	c <- m.unguarded
	c <- m.disconnected
	c <- m.problem
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(c chan<- prometheus.Metric) {
	m.compiles.Collect(c)
	m.mu.Lock()
	defer m.mu.Unlock()
	for namespace, statuses := range m.spaces {
		for name, s := range statuses {
			if s.Sidecars != nil {
				c <- prometheus.MustNewConstMetric(m.unguarded, prometheus.GaugeValue, float64(s.Sidecars.Missing), namespace, name)
				c <- prometheus.MustNewConstMetric(m.disconnected, prometheus.GaugeValue, float64(s.Sidecars.Disconnected), namespace, name)
			}
			for _, x := range s.Conditions {
				if wrong(x) {
					c <- prometheus.MustNewConstMetric(m.problem, prometheus.GaugeValue, 1, namespace, name, x.Type, x.Reason)
				}
			}
		}
	}
}
