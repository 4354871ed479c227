package keyset

import (
	"crypto"
	"crypto/subtle"
	"fmt"
	"log/slog"
	"slices"

	"github.com/lestrrat-go/jwx/v2/x25519"
)

// Key is one vetted key, prepared once for the crypto that uses it. It prints as its name, in every format.
type Key struct {
	// ID is the key's "kid"; empty when it has none.
	ID string
	// Alg is the key's "alg"; empty when the key does not limit it.
	Alg string
	// Thumbprint is the SHA-256 JWK thumbprint (RFC 7638), base64url; empty for symmetric keys, whose hash would help to
	// guess them (RFC 7638 section 7).
	Thumbprint string

	raw   any               // prepared for the crypto
	algs  []string          // what Fits says yes to
	jwk   map[string]string // members of the canonical form, without kid and alg
	class string            // for String: "RSA", "EC P-256", ...
}

// Raw returns the prepared key: *rsa.PublicKey, *ecdsa.PublicKey, ed25519.PublicKey or []byte to verify;
// *rsa.PrivateKey, *ecdsa.PrivateKey, x25519.PrivateKey or []byte to decrypt. It is shared: do not change it.
func (k Key) Raw() any { return k.raw }

// Symmetric reports whether the key is a shared secret: who can check with it can also make tokens.
func (k Key) Symmetric() bool {
	_, ok := k.raw.([]byte)
	return ok
}

// Same reports whether both are the same key material, whatever their kid and alg.
func (k Key) Same(other Key) bool {
	switch raw := k.raw.(type) {
	case []byte:
		secret, ok := other.raw.([]byte)
		return ok && subtle.ConstantTimeCompare(raw, secret) == 1
	case x25519.PrivateKey:
		secret, ok := other.raw.(x25519.PrivateKey)
		return ok && subtle.ConstantTimeCompare(raw, secret) == 1
	case interface{ Equal(crypto.PublicKey) bool }:
		return raw.Equal(other.raw)
	case interface{ Equal(crypto.PrivateKey) bool }:
		return raw.Equal(other.raw)
	}
	return false
}

// Fits reports whether the key may be used with the JWS or JWE algorithm: its type, curve and size fit and its own
// "alg" agrees. Of a key that fits "dir", it also answers for content encryptions ("A128GCM"): whether the size fits.
func (k Key) Fits(alg string) bool { return slices.Contains(k.algs, alg) }

// String names the key by kid or thumbprint, and its kind; never by its value.
func (k Key) String() string {
	switch {
	case k.ID != "":
		return k.class + " key " + quoteKid(k.ID)
	case k.Thumbprint != "":
		return k.class + " key with thumbprint " + k.Thumbprint
	}
	return k.class + " key"
}

// Format prints String whatever the verb, so that no %#v shows a key.
func (k Key) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(k.String())) }

// LogValue is String.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalJSON writes String as a JSON string: only Set.Canonical gives key material away.
func (k Key) MarshalJSON() ([]byte, error) { return []byte(fmt.Sprintf("%q", k.String())), nil }

// quoteKid makes a kid safe for a log line: quoted, of bounded length.
func quoteKid(kid string) string {
	const longest = 64
	if len(kid) > longest {
		return fmt.Sprintf("%+q...", kid[:longest])
	}
	return fmt.Sprintf("%+q", kid)
}
