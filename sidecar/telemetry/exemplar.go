package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/bearerguard/bearerguard/api/tracing"
)

// observe takes in a duration. If a trace shows it, its id is the bucket's exemplar: there is one a bucket, the newest.
func observe(h prometheus.Histogram, took time.Duration, trace tracing.TraceID) {
	if trace == (tracing.TraceID{}) {
		h.Observe(took.Seconds())
		return
	}
	h.(prometheus.ExemplarObserver).ObserveWithExemplar(took.Seconds(), prometheus.Labels{"trace_id": trace.String()})
}
