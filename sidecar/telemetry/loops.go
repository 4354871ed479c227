package telemetry

import "github.com/prometheus/client_golang/prometheus"

// RegisterLoops registers how often the loops that serve connections were held. held is asked when metrics are collected.
func RegisterLoops(reg prometheus.Registerer, held func() uint64) error {
	return reg.Register(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "bearerguard_loop_held_total",
		Help: "Turns of a loop that serves connections which took more than 20 ms, in which its other connections waited.",
	}, func() float64 { return float64(held()) }))
}
