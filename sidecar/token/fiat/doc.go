// Package fiat is arithmetic modulo the prime of P-256, p = 2^256 - 2^224 + 2^192 + 2^96 - 1.
//
// p256_fiat64.go is the work of the fiat-crypto project, which generates it from a model that is formally verified. It is,
// byte for byte, the file of filippo.io/nistec, and so that of Go's crypto/internal/fips140/nistec, both of which keep it to
// themselves; a test holds it to that. Its licence is in LICENSE.
package fiat
