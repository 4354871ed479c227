// Package tracing makes spans as OpenTelemetry has them: it reads and writes the W3C's trace context, decides what is sampled,
// and encodes spans for OTLP (opentelemetry.proto.trace.v1). What goes to a collector is for package otlp.
//
// A request that is not sampled costs a look at its header and no memory. Nothing of a context is believed but that a trace is
// wanted, and how often it is, has a bound: clients choose these fields.
package tracing
