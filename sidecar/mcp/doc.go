// Package mcp reads what a request brings to an MCP server: one JSON-RPC message in the body of a POST (Model Context Protocol,
// transport Streamable HTTP, revisions 2025-03-26 to 2026-07-28). It is pure, and takes nothing in that two readers may take
// for two things: that is a decision.CallDoubtful.
package mcp
