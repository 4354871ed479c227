// Package authz says what becomes of requests that others forward: gateways describe each request and ask, by the same
// snapshot, gate and refusals as those that go through the sidecar.
//
// It speaks the gRPC service of Envoy's ext_authz filter (envoy.service.auth.v3.Authorization), and by HTTP the forward-auth
// conventions of nginx (auth_request), Traefik (ForwardAuth) and Caddy (forward_auth): see Convention.
//
//	description of the original request -> gate.Request -> gate.Verdict -> what the gateway is told
//
// The first and the last arrow are pure. What the gate says to do with a request is done by somebody else here, who may not be
// able to. So whatever a gateway cannot be told is refused: a path whose canonical form is another than what was sent, a field
// that an app may take for an identity header, and, as a whole, policies that ask for more (Unenforceable).
package authz
