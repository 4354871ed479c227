// Package proxy serves the app's clients: it accepts connections, asks the gate about every request, and forwards to
// the app what the gate lets through, as the gate says.
//
// The way of a request:
//
//	Accept -> original destination -> TLS -> strict head (HTTP/1) -> net/http -> gate.Judge -> refuse | forward
//
// Forwarding keeps the client's protocol: HTTP/1.1 for HTTP/1.1, HTTP/2 without TLS (h2c) for HTTP/2, so that an app
// sees what it would see without the sidecar. Behind TLS that the sidecar ends, where clients choose HTTP/2 without
// asking the app, only gRPC stays HTTP/2. Bodies stream both ways; trailers, 1xx answers and upgrades pass.
package proxy
