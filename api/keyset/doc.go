// Package keyset reads and vets key material: JWK Sets (RFC 7517), single JWKs, PEM, raw symmetric secrets.
//
// It stands where keys enter: controllers and the standalone sidecar parse what a source gave them, send
// Set.Canonical over the wire, and the sidecar parses that again. A key that is odd, weak or meant for something else
// spoils only itself: it is left out and named in Set.Problems. What remains is prepared for the crypto once.
//
// What is asked of a key:
//   - RSA: 2048 to 8192 bits, an odd exponent of 3 to 2^31-1 (RFC 7518 sections 3.3 and 6.3).
//   - EC: P-256, P-384, P-521 or secp256k1 (RFC 8812), coordinates of full length, the point on the curve.
//   - OKP: Ed25519 to verify, X25519 to decrypt (RFC 8037).
//   - oct: to verify, at least 32 bytes, and for HS384 and HS512 at least 48 and 64 (RFC 7518 section 3.2); to decrypt,
//     exactly the size of the algorithm's key.
//   - "use", "key_ops" and "alg" are respected (RFC 7517 sections 4.2 to 4.4); "x5c" must hold the key itself.
//   - A "kid" given twice is tolerated if the keys are the same or no algorithm fits both; else all of them are left out.
//
// No error, problem or String form holds key material.
package keyset
