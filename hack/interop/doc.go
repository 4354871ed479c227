// Package interop tests what Bearerguard says to other people's programs: identity providers, clients of OAuth, MCP and
// workload identity, and proxies that ask for its word. It is a module of its own, so that none of what it takes gets into
// the product's go.mod; package idp starts the provider.
package interop
