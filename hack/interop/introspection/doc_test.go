// Package introspection has tests of opaque tokens with real providers and real sidecars.
package introspection
