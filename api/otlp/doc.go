// Package otlp sends spans to a collector (OTLP 1.x, by gRPC or HTTP with protobuf), in batches, aside from everything else: whoever has
// a span to give never waits. What there is no room for, and what the collector does not take in time, is dropped and counted.
package otlp
