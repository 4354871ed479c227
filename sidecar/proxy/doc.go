// Package proxy serves the app's clients: it accepts connections, asks the gate about every request, and forwards to
// the app what the gate lets through, as the gate says.
//
// The way of a request:
//
//	Accept -> original destination -> a loop -> TLS -> client -> exchange -> gate.Judge -> refuse | app
//
// Each connection belongs to one loop, with its connections to the app and its exchanges: see loop, exchange, client and app. Apps are
// spoken to in HTTP/1.1, whatever the client speaks, but for gRPC and Connect, which need HTTP/2 on the whole way: see AppProtocol. Bodies
// stream both ways; trailers, 1xx answers and upgrades pass.
package proxy
