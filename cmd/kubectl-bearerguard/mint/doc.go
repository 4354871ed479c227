// Package mint makes keys and tokens for development: signed (JWS, RFC 7515), encrypted (JWE, RFC 7516) and nested
// (RFC 7519 appendix A.2).
//
// It makes what it is asked for, right or wrong: expired tokens, odd claims, any header. Checking is the sidecar's work,
// and wrong tokens are what it is checked with. It is not an identity provider.
//
// Everything here is a function of its arguments and the system's random source; files and flags are the caller's.
package mint
