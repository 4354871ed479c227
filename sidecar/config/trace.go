package config

import (
	"os"
	"strings"

	"github.com/bearerguard/bearerguard/api/flags"
	"github.com/bearerguard/bearerguard/api/otlp"
	"github.com/bearerguard/bearerguard/api/tracing"
)

// openTelemetry has the variables of OpenTelemetry's own that flags are set from where nothing else sets them, the first that
// is there.
func openTelemetry(flag string) []string {
	return map[string][]string{
		"trace-endpoint": {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", endpointOfAll},
		"trace-protocol": {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"},
		"trace-ca":       {"OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE"},
		"trace-ratio":    {"OTEL_TRACES_SAMPLER_ARG"},
		"trace-service":  {"OTEL_SERVICE_NAME"},
	}[flag]
}

// endpointOfAll is where all signals go: for HTTP, each has a path below it.
const endpointOfAll = "OTEL_EXPORTER_OTLP_ENDPOINT"

// fromOpenTelemetry returns the name and the value of the variable that sets a flag; false: there is none. An empty one is as good
// as none.
func fromOpenTelemetry(flag string, lookup func(string) (string, bool)) (name, value string, ok bool) {
	for _, name := range openTelemetry(flag) {
		value, _ := lookup(name)
		if value == "" {
			continue
		}
		if name == endpointOfAll {
			if base := strings.TrimRight(value, "/"); strings.Count(base, "/") > 2 {
				value = base + "/v1/traces"
			}
		}
		return name, value, true
	}
	return "", "", false
}

// trace is what the flags say of traces, which have been checked; nil: none are made.
func (r *raw) trace(fail func(flag, format string, args ...any)) *Trace {
	endpoint, err := flags.Collector(r.v.Traces.Endpoint, r.v.Traces.Protocol)
	if err != nil { // empty; or a problem that has been told
		return nil
	}
	resource, err := otlp.ReadResource(os.Getenv(otlp.ResourceEnv))
	if err != nil {
		fail("trace-endpoint", "the variable %s %v", otlp.ResourceEnv, err)
	}
	host, _ := os.Hostname()
	return &Trace{
		Collector: otlp.Config{
			Endpoint: endpoint, Protocol: otlp.Protocol(r.v.Traces.Protocol), CAFile: r.traceCA, HeadersFile: r.traceHeaders,
			Service: r.v.Traces.Service, Host: host, Resource: resource,
		},
		Sample: tracing.Options{Ratio: r.v.Traces.Ratio, PerSecond: r.v.Traces.Rate},
	}
}
