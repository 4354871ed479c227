// Package telemetry is what the sidecar tells its operators: Prometheus metrics, and a decision log.
//
// Label sets are constant and their values come from policies and from closed enums, never from a request. The log has
// one line for some of the requests (all refusals up to a rate, a sample of the rest) and never holds a token, a key or
// a claim's value; what a client chose (method, host, path, key id) is bounded and printable when it gets there.
package telemetry
