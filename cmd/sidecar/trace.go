package main

import (
	"github.com/bearerguard/bearerguard/api/otlp"
	"github.com/bearerguard/bearerguard/api/tracing"
)

// openTraces makes what traces requests and sends the traces, if there are to be any.
func (s *sidecar) openTraces() error {
	t := s.conf.Trace
	if t == nil {
		return nil
	}
	c := t.Collector
	c.Log, c.Version = s.log.WithName("trace"), version
	var err error
	if s.exporter, err = otlp.New(c); err != nil {
		return err
	}
	s.tracer = tracing.NewTracer(s.exporter, t.Sample)
	return s.reg.Register(otlp.NewMetrics(s.exporter.Counts, s.tracer.Over))
}
