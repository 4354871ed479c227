package telemetry

import "github.com/prometheus/client_golang/prometheus"

// RegisterLog registers how many lines the log has lost. dropped is asked when metrics are collected.
func RegisterLog(reg prometheus.Registerer, dropped func() uint64) error {
	return reg.Register(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "bearerguard_log_lines_dropped_total",
		Help: "Lines of the log that were lost, since nobody read them in time or they could not be written.",
	}, func() float64 { return float64(dropped()) }))
}
