package keyset

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"fmt"

	"github.com/bearerguard/bearerguard/api/policy"
)

// MinNonceRoot is the least length in bytes of what Nonces derives from.
const MinNonceRoot = 32

// Nonces returns what the nonces of a namespace are made with, as a JWK Set in its canonical form. It follows from a root secret, which
// is whoever's it is that gives namespaces theirs, by HKDF (RFC 5869): who has the set of one namespace knows nothing of the root or of
// another's. The error reads on after the name of the root.
func Nonces(root []byte, namespace string) ([]byte, error) {
	if len(root) < MinNonceRoot {
		return nil, fmt.Errorf("has %d bytes; want at least %d at random", len(root), MinNonceRoot)
	}
	secret, err := hkdf.Key(sha256.New, root, nil, "bearerguard DPoP nonces 1 of "+namespace, sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("derive a secret: %w", err)
	}
	text := `{"keys":[{"kty":"oct","k":"` + base64.RawURLEncoding.EncodeToString(secret) + `"}]}`
	set, err := Read([]byte(text), Reading{Use: Verify, Format: policy.FormatJWKS})
	if err != nil {
		return nil, err
	}
	return set.Canonical(), nil
}
