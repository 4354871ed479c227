package mint

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
)

// MinRSABits is the smallest RSA key that is made: RFC 7518 section 3.3 asks for it, and the sidecar refuses less.
const MinRSABits = 2048

// KeyOptions says which key to make. The zero value of a field is its default.
type KeyOptions struct {
	// Algorithm is the one that the key is for; see Algorithms. Required.
	Algorithm string
	// ID is the key's "kid". Default: the key's SHA-256 thumbprint (RFC 7638).
	ID string
	// Bits is the size of an RSA key. Default and minimum: 2048.
	Bits int
}

// Keys is an ordered set of keys, private, public or symmetric. The zero value is empty.
type Keys struct {
	keys []jwk.Key
}

// NewKey makes a key with "kid", "use" and "alg".
func NewKey(o KeyOptions) (Keys, error) {
	a, err := lookup(o.Algorithm, "")
	if err != nil {
		return Keys{}, err
	}
	if o.Bits == 0 {
		o.Bits = MinRSABits
	}
	if a.family == familyRSA && o.Bits < MinRSABits {
		return Keys{}, fmt.Errorf("%d bits are too few for RSA; want %d or more", o.Bits, MinRSABits)
	}
	raw, err := a.generate(o.Bits)
	if err != nil {
		return Keys{}, fmt.Errorf("generate a key for %s: %w", a.name, err)
	}
	key, err := jwk.FromRaw(raw)
	if err != nil {
		return Keys{}, fmt.Errorf("describe a key for %s: %w", a.name, err)
	}
	if err := label(key, o.ID, a); err != nil {
		return Keys{}, err
	}
	return Keys{keys: []jwk.Key{key}}, nil
}

// label sets kid, use and alg. jwx has no name for Ed25519, so it is set as the text that it is.
func label(key jwk.Key, id string, a algorithm) error {
	set := map[string]any{jwk.KeyIDKey: id, jwk.KeyUsageKey: string(a.use), jwk.AlgorithmKey: jwa.KeyAlgorithmFrom(a.name)}
	if id == "" {
		delete(set, jwk.KeyIDKey)
		if err := jwk.AssignKeyID(key); err != nil {
			return fmt.Errorf("compute a thumbprint: %w", err)
		}
	}
	for name, value := range set {
		if err := key.Set(name, value); err != nil {
			return fmt.Errorf("set %s: %w", name, err)
		}
	}
	return nil
}

// NewSecret makes a raw HMAC secret for HS256, HS384 or HS512: printable, without a line break at its end, and with as
// many random bytes as the algorithm's hash has.
func NewSecret(alg string) ([]byte, error) {
	a, err := lookup(alg, Signature)
	if err != nil {
		return nil, err
	}
	if a.family != familyOct {
		return nil, fmt.Errorf("%s has no raw secret; want HS256, HS384 or HS512", alg)
	}
	raw, err := a.generate(0)
	if err != nil {
		return nil, fmt.Errorf("generate a secret: %w", err)
	}
	secret, _ := raw.([]byte)
	return base64.RawURLEncoding.AppendEncode(nil, secret), nil
}

// ParseKeys reads a JWK Set, a single JWK, or PEM blocks (private or public keys, certificates).
func ParseKeys(data []byte) (Keys, error) {
	trimmed := bytes.TrimSpace(data)
	if len(trimmed) == 0 {
		return Keys{}, errors.New("is empty; want a JWK Set, a JWK or PEM")
	}
	isPEM := bytes.HasPrefix(trimmed, []byte("-----BEGIN "))
	if !isPEM && trimmed[0] != '{' {
		return Keys{}, errors.New("is neither JSON nor PEM; want a JWK Set, a JWK or PEM")
	}
	set, err := jwk.Parse(trimmed, jwk.WithPEM(isPEM))
	if err != nil {
		// The library's text may quote what it read, and that is key material.
		return Keys{}, errors.New("cannot be read as a JWK Set, a JWK or PEM keys")
	}
	var k Keys
	for i := range set.Len() {
		key, _ := set.Key(i)
		k.keys = append(k.keys, key)
	}
	if len(k.keys) == 0 {
		return Keys{}, errors.New("has no keys")
	}
	return k, nil
}

// SecretKeys is a set of one symmetric key: a raw secret as it is.
func SecretKeys(secret []byte) (Keys, error) {
	key, err := jwk.FromRaw(secret)
	if err != nil {
		return Keys{}, errors.New("is empty; want the bytes of a secret")
	}
	return Keys{keys: []jwk.Key{key}}, nil
}

// Join returns the keys of both sets. A "kid" that comes twice is an error.
func (k Keys) Join(other Keys) (Keys, error) {
	seen := map[string]bool{}
	all := append(append([]jwk.Key(nil), k.keys...), other.keys...)
	for _, key := range all {
		if id := key.KeyID(); id != "" && seen[id] {
			return Keys{}, fmt.Errorf("kid %q comes twice", id)
		}
		seen[key.KeyID()] = true
	}
	return Keys{keys: all}, nil
}

// Len returns the number of keys.
func (k Keys) Len() int { return len(k.keys) }

// Private reports whether any key is private or symmetric, and so must not be shown.
func (k Keys) Private() bool {
	for _, key := range k.keys {
		if symmetric := key.KeyType() == jwa.OctetSeq; symmetric {
			return true
		}
		if private, err := jwk.IsPrivateKey(key); err == nil && private {
			return true
		}
	}
	return false
}

// Public returns the public halves. A symmetric key has none and is an error.
func (k Keys) Public() (Keys, error) {
	var out Keys
	for i, key := range k.keys {
		if key.KeyType() == jwa.OctetSeq {
			return Keys{}, fmt.Errorf("key %d is symmetric and has no public half", i)
		}
		public, err := key.PublicKey()
		if err != nil {
			return Keys{}, fmt.Errorf("take the public half of key %d: %w", i, err)
		}
		out.keys = append(out.keys, public)
	}
	return out, nil
}

// pick returns the one key to use with the algorithm, and the algorithm: as named, else the key's own "alg", else the
// usual one for its type.
func (k Keys) pick(id, alg string, use Use) (jwk.Key, any, algorithm, error) {
	var problem error
	for _, key := range k.keys {
		if id != "" && key.KeyID() != id {
			continue
		}
		a, raw, err := match(key, alg, use)
		if err == nil {
			return key, raw, a, nil
		}
		problem = errors.Join(problem, fmt.Errorf("key %s: %w", name(key), err))
	}
	if problem == nil {
		return nil, nil, algorithm{}, fmt.Errorf("no key has the kid %q; there are %s", id, k.names())
	}
	return nil, nil, algorithm{}, problem
}

// match settles the algorithm for one key, or says why the key cannot be used.
func match(key jwk.Key, alg string, use Use) (algorithm, any, error) {
	var raw any
	if err := key.Raw(&raw); err != nil {
		return algorithm{}, nil, errors.New("cannot be read")
	}
	if alg == "" {
		alg = key.Algorithm().String()
	}
	if alg == "" {
		alg = usual(raw, use)
	}
	a, err := lookup(alg, use)
	if err != nil {
		return algorithm{}, nil, err
	}
	if !a.fits(raw) {
		return algorithm{}, nil, fmt.Errorf("is a %s key and does not fit %s", key.KeyType(), alg)
	}
	return a, raw, nil
}

// usual names the algorithm for a key that does not say.
func usual(raw any, use Use) string {
	for _, a := range algorithms() {
		if a.use == use && a.fits(raw) {
			return a.name
		}
	}
	return ""
}

func (k Keys) names() string {
	var names []string
	for _, key := range k.keys {
		names = append(names, name(key))
	}
	return strings.Join(names, ", ")
}

func name(key jwk.Key) string {
	if key.KeyID() == "" {
		return "(no kid)"
	}
	return key.KeyID()
}
