// Package push serves bundles to sidecars: who is calling, what is theirs, and what they have said to it.
//
// # Identity
//
// A sidecar presents its projected service-account token (audience "bearerguard"). A TokenReview says whether it is genuine
// and which pod it is bound to; what is sent is what was compiled for that pod's UID, and nothing else. A stream ends
// when its pod is gone, when its token expires, and when the same pod opens another.
//
// # Streams
//
// The rules of the xDS protocol apply: the whole state every time, a version for each state, ACK or NACK, and the last
// good state stands after a NACK. Each stream has one goroutine, which receives, and one that sends while there is something to send and it is
// the stream's turn; then the newest bundle is sent (the latest wins), so a slow sidecar delays nobody and memory does not grow with what it
// missed. The encoded bytes are shared by all sidecars that get the same.
//
// # Replicas
//
// Every replica of the controller serves streams, but only the leader writes status, and for that it must know what the
// sidecars of the others have acknowledged. So each replica that does not lead keeps one more stream, Reports, to the
// leader and tells it of its sidecars: first of all, then of each change. It finds the leader's address in the leader
// election Lease, whose holder identity carries it. No object is written for it, so that a push to thousands of sidecars
// costs the API server nothing, and nothing stale is left behind by a replica that died: what it reported is dropped a
// few seconds after its stream ends. A leader that has far more sidecars than the others ends some of their streams, so that they
// spread again after a rollout. Both ends prove that they are replicas with TLS alone: the peer must present, and so
// hold the private key of, the very certificate that this replica serves with, which lies in a Secret that only the
// controller reads.
package push
