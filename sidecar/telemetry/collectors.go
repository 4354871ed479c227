package telemetry

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// snapshotCollector reports the version of the snapshot in force and how new it is; nothing before the first one.
type snapshotCollector struct {
	sources Sources

	mu      sync.Mutex
	version string // empty before the first snapshot
}

func (c *snapshotCollector) set(version string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.version = version
}

func snapshotInfo() *prometheus.Desc {
	return prometheus.NewDesc("bearerguard_snapshot_info", "The version of the snapshot in force; the value is 1.",
		[]string{"version"}, nil)
}

func snapshotAge() *prometheus.Desc {
	return prometheus.NewDesc("bearerguard_snapshot_age_seconds", "Time since the snapshot in force was last known to be the newest; 0 while it is.", nil, nil)
}

func pushConnected() *prometheus.Desc {
	return prometheus.NewDesc("bearerguard_push_connected", "1 while the controller is connected, else 0.", nil, nil)
}

// Describe implements prometheus.Collector.
func (c *snapshotCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- snapshotInfo()
	ch <- snapshotAge()
	ch <- pushConnected()
}

// Collect implements prometheus.Collector.
func (c *snapshotCollector) Collect(ch chan<- prometheus.Metric) {
	c.mu.Lock()
	version := c.version
	c.mu.Unlock()
	if version != "" {
		ch <- prometheus.MustNewConstMetric(snapshotInfo(), prometheus.GaugeValue, 1, version)
	}
	if c.sources.Freshness == nil {
		return
	}
	connected, age, known := c.sources.Freshness()
	if c.sources.Pushed {
		value := 0.0
		if connected {
			value = 1
		}
		ch <- prometheus.MustNewConstMetric(pushConnected(), prometheus.GaugeValue, value)
	}
	if known && version != "" {
		ch <- prometheus.MustNewConstMetric(snapshotAge(), prometheus.GaugeValue, age.Seconds())
	}
}

// cacheCollector reports the state of the token cache.
type cacheCollector struct{ state func() Cache }

func cacheDescs() [5]*prometheus.Desc {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("bearerguard_token_cache_"+name, help, nil, nil)
	}
	return [5]*prometheus.Desc{
		desc("hits_total", "Tokens whose verification was found in the cache."),
		desc("misses_total", "Tokens that had to be verified."),
		desc("evictions_total", "Entries that made room for others."),
		desc("entries", "Entries in the cache."),
		desc("bytes", "Bytes that the cache accounts for."),
	}
}

// Describe implements prometheus.Collector.
func (c cacheCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range cacheDescs() {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c cacheCollector) Collect(ch chan<- prometheus.Metric) {
	s, d := c.state(), cacheDescs()
	ch <- prometheus.MustNewConstMetric(d[0], prometheus.CounterValue, float64(s.Hits))
	ch <- prometheus.MustNewConstMetric(d[1], prometheus.CounterValue, float64(s.Misses))
	ch <- prometheus.MustNewConstMetric(d[2], prometheus.CounterValue, float64(s.Evictions))
	ch <- prometheus.MustNewConstMetric(d[3], prometheus.GaugeValue, float64(s.Entries))
	ch <- prometheus.MustNewConstMetric(d[4], prometheus.GaugeValue, float64(s.Bytes))
}
