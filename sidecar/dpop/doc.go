// Package dpop checks DPoP proofs (RFC 9449): that the client of a request has the key that its token is bound to, and made
// the proof for this request, with this token, and lately.
//
// It is pure but for Memory, in which a process remembers the proofs that it took. It finds no token and judges none:
// package gate asks it for each request whose token is bound.
package dpop
