// Package gateway tests sidecar serve behind gateways of other people: Debian's nginx and Caddy ask it about each request, by the
// configurations in docs/ext-authz.md.
package gateway
