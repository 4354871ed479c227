package keyset

// Key is one vetted key, prepared once for the crypto that uses it. Its String form names it without key material.
type Key struct {
	// ID is the key's "kid"; empty when it has none.
	ID string
	// Alg is the key's "alg"; empty when the key does not limit it.
	Alg string
	// Thumbprint is the SHA-256 JWK thumbprint (RFC 7638), base64url; empty for symmetric keys, whose hash would help to
	// guess them (RFC 7638 section 7).
	Thumbprint string
	raw        any
}

// Raw returns the prepared key: *rsa.PublicKey, *ecdsa.PublicKey, ed25519.PublicKey or []byte to verify;
// *rsa.PrivateKey, *ecdsa.PrivateKey, x25519.PrivateKey or []byte to decrypt. It is shared: do not change it.
func (k Key) Raw() any { return k.raw }

// Fits reports whether the key may be used with the algorithm: its type, curve and size fit, and its own "alg" agrees.
func (k Key) Fits(alg string) bool { return false }
