// Package convert turns the policies of other systems into AuthPolicies. It does no I/O: files come as bytes.
//
// Nothing is widened: a request that the source refuses is refused by what comes out. What an AuthPolicy cannot say makes an
// allow rule fit less, or be left out, and a deny rule fit more; where neither is possible, the whole is refused. Every field
// that did not come over as it was has a Note, with its line.
//
// Where a source is silent on a request that cannot reach it in this form, such as a port in the Host header or a header that
// comes twice, docs/migrating.md says what becomes of it.
package convert
