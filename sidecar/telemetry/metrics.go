package telemetry

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/bearerguard/bearerguard/api/decision"
)

// Metrics are the sidecar's metrics. They are safe for concurrent use; Request does not allocate for a combination of
// labels that it has seen before.
type Metrics struct {
	requests counters
	audits   counters
	own      prometheus.Histogram
	conns    prometheus.Gauge
	rejected prometheus.Counter
	revoked  prometheus.Gauge
	unsaved  prometheus.Counter
	leftOut  *prometheus.CounterVec
	asked    *prometheus.CounterVec
	asking   prometheus.Histogram
	snapshot snapshotCollector
}

// Cache is the state of the cache of verified tokens.
type Cache struct {
	// Hits, Misses and Evictions count since the process started.
	Hits, Misses, Evictions uint64
	// Entries and Bytes are what the cache holds now.
	Entries, Bytes int64
}

// Sources are asked when metrics are collected. A nil function leaves its metrics out.
type Sources struct {
	// Cache returns the state of the token cache.
	Cache func() Cache
	// Introspection returns the state of the questions to issuers.
	Introspection func() Introspection
	// Proofs returns the state of the memory of DPoP proofs.
	Proofs func() Proofs
	// Freshness returns whether the controller is connected, and how long ago the snapshot in force was last known to be the newest;
	// known is false before the first one.
	Freshness func() (connected bool, age time.Duration, known bool)
	// Pushed says that there is a controller.
	Pushed bool
}

// NewMetrics registers the metrics with reg.
func NewMetrics(reg prometheus.Registerer, s Sources) (*Metrics, error) {
	m := &Metrics{
		requests: newCounters("bearerguard_requests_total", "Requests by decision, reason, and the policy and rule that decided."),
		audits:   newCounters("bearerguard_audit_total", "Verdicts of Audit policies, which change nothing."),
		own: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "bearerguard_request_duration_seconds",
			Help:    "Time that the sidecar itself took to judge a request.",
			Buckets: []float64{1e-6, 2.5e-6, 5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 5e-3, 2.5e-2, 1e-1},
		}),
		conns: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "bearerguard_connections", Help: "Client connections that are open.",
		}),
		rejected: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "bearerguard_snapshot_rejected_total", Help: "Snapshots that could not be loaded; the last good one stays.",
		}),
	}
	m.revoked = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "bearerguard_revocations", Help: "Entries of the revocations in force.",
	})
	m.unsaved = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "bearerguard_last_good_failures_total", Help: "Rules or revocations in force that could not be saved for a restart.",
	})
	m.leftOut = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "bearerguard_identity_headers_left_out_total",
		Help: "Identity headers that a verified token could not give, counted when it is verified, by the reason.",
	}, []string{"reason"})
	m.asked, m.asking = newIntrospection()
	m.snapshot.sources = s
	all := []prometheus.Collector{m.requests.vec, m.audits.vec, m.own, m.conns, m.rejected, m.revoked, m.unsaved, m.leftOut, m.asked, m.asking, &m.snapshot}
	if s.Cache != nil {
		all = append(all, cacheCollector{s.Cache})
	}
	if s.Introspection != nil {
		all = append(all, introspectionCollector{s.Introspection})
	}
	if s.Proofs != nil {
		all = append(all, proofCollector{s.Proofs})
	}
	for _, c := range all {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// Request counts one request.
func (m *Metrics) Request(r *Record) {
	m.requests.inc(counterKey{verdict(!r.refused()), r.Reason, r.Policy, r.Rule})
	if r.Own > 0 { // else it is one more record of a request
		observe(m.own, r.Own, r.Trace)
	}
	for _, a := range r.Audit {
		m.audits.inc(counterKey{verdict(a.Allowed), a.Reason, a.Policy, a.Rule})
	}
}

// Connection counts client connections: +1 for one opened, -1 for one closed.
func (m *Metrics) Connection(delta int) { m.conns.Add(float64(delta)) }

// SnapshotLoaded notes the version of the snapshot in force from now on.
func (m *Metrics) SnapshotLoaded(version string) { m.snapshot.set(version) }

// Retain drops the counts of policies that are not among these, which are named "namespace/name": policies come and
// go, and what is gone must not be reported for ever.
func (m *Metrics) Retain(policies []string) {
	m.requests.retain(policies)
	m.audits.retain(policies)
}

// SnapshotRejected counts a snapshot that could not be loaded.
func (m *Metrics) SnapshotRejected() { m.rejected.Inc() }

// Revocations notes how many entries the revocations in force have.
func (m *Metrics) Revocations(entries int) { m.revoked.Set(float64(entries)) }

// Unsaved counts what is in force and could not be saved.
func (m *Metrics) Unsaved() { m.unsaved.Inc() }

// LeftOut counts an identity header that was left out. The reason is one of a closed set.
func (m *Metrics) LeftOut(reason string) { m.leftOut.WithLabelValues(reason).Inc() }

func verdict(allowed bool) string {
	if allowed {
		return "allow"
	}
	return "deny"
}

// counterKey is a combination of labels.
type counterKey struct {
	decision     string
	reason       decision.Reason
	policy, rule string
}

// counters keeps the counters that are in use in a map which is copied when it grows, so that counting neither locks
// nor allocates.
type counters struct {
	vec   *prometheus.CounterVec
	mu    *sync.Mutex // held while vec grows or shrinks and known is replaced
	known *atomic.Pointer[map[counterKey]prometheus.Counter]
}

func newCounters(name, help string) counters {
	c := counters{
		vec: prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help},
			[]string{"decision", "reason", "policy", "rule"}),
		mu:    &sync.Mutex{},
		known: &atomic.Pointer[map[counterKey]prometheus.Counter]{},
	}
	c.known.Store(&map[counterKey]prometheus.Counter{})
	return c
}

func (c counters) inc(k counterKey) {
	if counter, ok := (*c.known.Load())[k]; ok {
		counter.Inc()
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	counter := c.vec.WithLabelValues(k.decision, string(k.reason), k.policy, k.rule)
	counter.Inc()
	grown := maps.Clone(*c.known.Load())
	grown[k] = counter
	c.known.Store(&grown)
}

// retain drops the counters of policies that are not among these.
func (c counters) retain(policies []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	kept := maps.Clone(*c.known.Load())
	maps.DeleteFunc(kept, func(k counterKey, _ prometheus.Counter) bool {
		gone := k.policy != "" && !slices.Contains(policies, k.policy)
		return gone && c.vec.DeleteLabelValues(k.decision, string(k.reason), k.policy, k.rule)
	})
	c.known.Store(&kept)
}
