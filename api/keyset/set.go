package keyset

import "errors"

// Use says what a key set is for; it decides which keys are taken from a source and what is kept of them.
type Use int

// The uses of a key set.
const (
	// Verify takes public keys and HMAC secrets from a trusted Secret; of a private key only the public half is kept.
	Verify Use = iota
	// Public takes public keys only, from places that anybody may read: a URL, a ConfigMap, an inline set. A private or
	// symmetric key there has been given away, and is left out.
	Public
	// Decrypt takes private and symmetric keys for encrypted tokens.
	Decrypt
)

// Set is an immutable set of vetted keys. It is safe for concurrent use; it never prints key material.
type Set struct {
	keys     []Key
	problems []string
}

// Parse reads a JWK Set (RFC 7517), a single JWK, PEM blocks, or (not for Public) a raw symmetric secret.
func Parse(data []byte, use Use) (*Set, error) {
	return nil, errors.New("is not read yet")
}

// Keys returns the keys in canonical order. The slice is shared: do not change it.
func (s *Set) Keys() []Key { return s.keys }

// Len returns the number of keys.
func (s *Set) Len() int { return len(s.keys) }

// Problems names each key that was left out, by kid, thumbprint or position, and says why.
func (s *Set) Problems() []string { return s.problems }

// Canonical returns the set as JWK Set JSON, private and symmetric parts included, the same bytes for the same keys.
func (s *Set) Canonical() []byte { return nil }
