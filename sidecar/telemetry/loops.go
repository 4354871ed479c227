package telemetry

import "github.com/prometheus/client_golang/prometheus"

// RegisterLoops registers how often the loops that serve connections were held, and how many connections they have ended since the kernel held too much
// for all. Both are asked when metrics are collected.
func RegisterLoops(reg prometheus.Registerer, held, relieved func() uint64) error {
	if err := reg.Register(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "bearerguard_connections_relieved_total",
		Help: "Connections, of clients and to the app, that were ended because the kernel held more for connections than the memory limit allows.",
	}, func() float64 { return float64(relieved()) })); err != nil {
		return err
	}
	return reg.Register(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "bearerguard_loop_held_total",
		Help: "Turns of a loop that serves connections which took more than 20 ms, in which its other connections waited.",
	}, func() float64 { return float64(held()) }))
}
