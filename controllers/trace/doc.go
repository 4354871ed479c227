// Package trace makes the spans of what the controller does: reconciliations, admission requests, and the parts of both. What is not sampled,
// or where there is no tracer, has a nil Work, which takes everything and does nothing.
package trace
