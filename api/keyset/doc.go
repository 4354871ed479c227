// Package keyset reads and vets key material: JWK Sets (RFC 7517), single JWKs, PEM, DER, raw symmetric secrets.
//
// It stands where keys enter: controllers and the standalone sidecar read what a source gave them, send Set.Canonical over
// the wire, and the sidecar parses that again. What a text is, is never guessed: Read says what it recognises, and text
// in which nothing is recognised is a secret only where nothing else could be meant. A key that is odd, weak or meant for
// something else spoils only itself: it is left out and named in Set.Notes. What remains is prepared for the crypto once.
//
// What is asked of a key:
//   - RSA: 2048 to 8192 bits, an odd exponent of 3 to 2^31-1 (RFC 7518 sections 3.3 and 6.3).
//   - EC: P-256, P-384, P-521 or secp256k1 (RFC 8812), the point on the curve. Zero octets before a coordinate may be missing
//     or too many.
//   - OKP: Ed25519 to verify, X25519 to decrypt (RFC 8037).
//   - oct: to verify, at least 32 bytes, and for HS384 and HS512 at least 48 and 64 (RFC 7518 section 3.2); to decrypt,
//     exactly the size of the algorithm's key.
//   - "use", "key_ops" and "alg" are respected (RFC 7517 sections 4.2 to 4.4); a certificate in "x5c" that can be read must
//     hold the key itself.
//
// What verification does not need costs no key: "x5t", "x5u", members that nobody knows or that are null, "" or [], a
// certificate that cannot be read, a "use" that is not known. Keys may share a "kid"; each that fits a token is tried.
//
// No error, note or String form holds key material.
package keyset
