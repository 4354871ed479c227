// Package bundle is the wire between the controller and the sidecars: what one workload needs to judge its requests, its
// encoding, and the version that names it.
//
// A Bundle is plain data. Assemble makes one from policies, revocations and resolved keys; it is the only way to make
// one, for the controller and for the standalone sidecar alike. Encode is deterministic, so that Version, a hash of the
// encoded bytes, changes only when the content does. push.proto has the messages and the gRPC service.
package bundle
