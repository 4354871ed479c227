// Package ruleset makes rules of operations: methods at paths, and who may call them. Of paths that overlap, the one that says more counts
// alone, as OpenAPI and routers have it, where all that matching rules allow adds up: so what such a path has is cut out of the others. It
// is pure.
package ruleset
