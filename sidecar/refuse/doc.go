// Package refuse says what a client is told when a request is refused: one table from decision.Reason to an HTTP status,
// an RFC 6750 challenge, a gRPC code and a constant text, and the three forms in which it is written.
//
//   - HTTP: the status, WWW-Authenticate (RFC 6750 section 3) and a problem document (RFC 9457).
//   - gRPC over HTTP/2: status 200 with grpc-status and grpc-message in the header, the "trailers-only" form.
//   - WebSocket and other upgrades: refused before the upgrade, so the HTTP form.
//
// Every byte that a client sees is a constant or a scope name from the policy; nothing of the request is echoed.
// A Response is plain data, so that a server other than net/http can write it.
package refuse
