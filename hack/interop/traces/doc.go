// Package traces has a real sidecar send its traces to a collector made of OpenTelemetry's own definitions, by each protocol.
package traces
