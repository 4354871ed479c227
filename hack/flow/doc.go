// Package flow tests the whole way of a request against a real API server, without a node: the controller and the
// sidecar run as the real programs, started with what their manifests and the mutated pod say.
package flow
