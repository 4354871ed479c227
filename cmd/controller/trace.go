package main

import (
	"context"
	"os"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	sharedflags "github.com/bearerguard/bearerguard/api/flags"
	"github.com/bearerguard/bearerguard/api/otlp"
	"github.com/bearerguard/bearerguard/api/tracing"
)

// traceConfig is what is traced, and where traces go.
type traceConfig struct {
	collector otlp.Config
	sample    tracing.Options
}

// trace checks what the flags say of traces; nil: none are made.
func (f *flags) trace(fail func(flag, format string, args ...any)) *traceConfig {
	problems := f.traces.Check()
	for _, p := range problems {
		fail(p.Flag, "%s; want %s", p.Text, p.Want)
	}
	if len(problems) > 0 || f.traces.Endpoint == "" {
		return nil
	}
	endpoint, err := sharedflags.Collector(f.traces.Endpoint, f.traces.Protocol)
	if err != nil { // it has been told
		return nil
	}
	resource, err := otlp.ReadResource(os.Getenv(otlp.ResourceEnv))
	if err != nil {
		fail("trace-endpoint", "the variable %s %v", otlp.ResourceEnv, err)
	}
	host, _ := os.Hostname()
	return &traceConfig{
		collector: otlp.Config{
			Endpoint: endpoint, Protocol: otlp.Protocol(f.traces.Protocol), CAFile: f.traceCA, HeadersFile: f.traceHeaders,
			Service: f.traces.Service, Version: version, Host: host, Resource: resource,
		},
		sample: tracing.Options{Ratio: f.traces.Ratio, PerSecond: f.traces.Rate},
	}
}

// addTraces adds what sends traces, on every replica, and returns what makes them; nil: there are to be none.
func addTraces(mgr manager.Manager, c config, log logr.Logger) (*tracing.Tracer, error) {
	if c.trace == nil {
		return nil, nil //nolint:nilnil // nil is a tracer, too
	}
	c.trace.collector.Log = log.WithName("trace")
	exporter, err := otlp.New(c.trace.collector)
	if err != nil {
		return nil, err
	}
	tracer := tracing.NewTracer(exporter, c.trace.sample)
	if err := metrics.Registry.Register(otlp.NewMetrics(exporter.Counts, tracer.Over)); err != nil {
		return nil, err
	}
	return tracer, mgr.Add(everywhere(func(ctx context.Context) error { return exporter.Run(ctx) }))
}
