package keyset

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"

	"github.com/bearerguard/bearerguard/api/keyset/strictjson"
)

// jwks reads a JWK Set, or a single JWK.
func (c *collector) jwks(data []byte, use Use) error {
	doc, err := strictjson.Object(data)
	if err != nil {
		return err
	}
	list, isSet := doc["keys"].([]any)
	switch _, isKey := doc["kty"]; {
	case isKey:
		list = []any{doc}
	case !isSet:
		return errors.New(`is no JWK Set: want {"keys": [...]} or a single key with "kty"`)
	case len(list) > MaxKeys:
		return fmt.Errorf("has %d keys; at most %d are read", len(list), MaxKeys)
	}
	for i, v := range list {
		name := fmt.Sprintf("key %d", i+1)
		m, ok := v.(map[string]any)
		if !ok {
			c.add(name, Key{}, errors.New("is not an object"))
			continue
		}
		j := jwk{members: m}
		k, err := j.key(use)
		c.add(j.name(name, k), k, err)
	}
	return nil
}

// jwk reads the members of one JWK.
type jwk struct{ members map[string]any }

// name is the kid, else the thumbprint as far as it is known, else the position.
func (j jwk) name(position string, k Key) string {
	if kid, ok := j.members["kid"].(string); ok && kid != "" {
		return "kid " + quoteKid(kid)
	}
	if k.Thumbprint != "" {
		return "thumbprint " + k.Thumbprint
	}
	return position
}

// key vets the JWK. With an error, the returned key serves to name it.
func (j jwk) key(use Use) (Key, error) {
	kid, err := j.text("kid")
	if err != nil {
		return Key{}, err
	}
	if len(kid) > 1024 {
		return Key{}, errors.New("kid is longer than 1024 bytes")
	}
	kty, err := j.text("kty")
	if err != nil {
		return Key{}, err
	}
	k, err := j.material(kty, use)
	if err != nil {
		return k, err
	}
	k.ID = kid
	if err := j.meant(use); err != nil {
		return k, err
	}
	alg, err := j.text("alg")
	if err != nil {
		return k, err
	}
	if err := j.certificate(k); err != nil {
		return k, err
	}
	return k.withAlg(alg)
}

// material reads the key itself.
func (j jwk) material(kty string, use Use) (Key, error) {
	switch kty {
	case "RSA":
		return j.rsa(use)
	case "EC":
		return j.ec(use)
	case "OKP":
		return j.okp(use)
	case "oct":
		if use == Public {
			return Key{}, errors.New("is a symmetric key in a place for public keys")
		}
		secret, err := j.bytes("k")
		if err != nil {
			return Key{}, err
		}
		return symmetric(secret, use)
	case "":
		return Key{}, errors.New("has no kty")
	}
	return Key{}, errors.New("has a kty that is none of RSA, EC, OKP, oct")
}

// meant checks "use" and "key_ops" (RFC 7517 sections 4.2 and 4.3).
func (j jwk) meant(use Use) error {
	want, ops := "sig", []string{"verify"}
	switch {
	case use == Decrypt:
		want, ops = "enc", []string{"decrypt", "unwrapKey", "deriveKey", "deriveBits"}
	case use == Verify && j.has("d"):
		ops = []string{"verify", "sign"}
	}
	got, err := j.text("use")
	if err != nil {
		return err
	}
	if j.has("use") && got != want {
		return fmt.Errorf("its use is not %q", want)
	}
	v, ok := j.members["key_ops"]
	if !ok {
		return nil
	}
	list, ok := v.([]any)
	if !ok {
		return errors.New("key_ops is not a list")
	}
	fits := false
	for i, op := range list {
		s, ok := op.(string)
		if !ok || slices.Contains(list[:i], op) {
			return errors.New("key_ops is not a list of different strings")
		}
		fits = fits || slices.Contains(ops, s)
	}
	if !fits {
		return fmt.Errorf("its key_ops have no %q", ops[0])
	}
	return nil
}

// withAlg narrows the key to its own "alg".
func (k Key) withAlg(alg string) (Key, error) {
	algs := narrow(k.algs, alg)
	if len(algs) == 0 {
		return k, errors.New("its alg is unknown, not allowed, or does not fit its type, curve or size")
	}
	k.Alg, k.algs = alg, algs
	return k, nil
}

func (j jwk) has(name string) bool {
	_, ok := j.members[name]
	return ok
}

// private names the first private member (RFC 7518 section 6).
func (j jwk) private() (string, bool) {
	for _, name := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
		if j.has(name) {
			return name, true
		}
	}
	return "", false
}

// text returns an optional string member.
func (j jwk) text(name string) (string, error) {
	v, ok := j.members[name]
	if !ok {
		return "", nil
	}
	s, ok := v.(string)
	if !ok {
		return "", fmt.Errorf("%s is not a string", name)
	}
	return s, nil
}

// bytes returns a required base64url member: no padding, no other characters, no unused bits (RFC 7515 section 2).
func (j jwk) bytes(name string) ([]byte, error) {
	s, err := j.text(name)
	if err != nil {
		return nil, err
	}
	if s == "" {
		return nil, fmt.Errorf("has no %s", name)
	}
	for i := range len(s) {
		if s[i] == '\r' || s[i] == '\n' { // the one thing that encoding/base64 lets pass
			return nil, fmt.Errorf("%s is not base64url without padding", name)
		}
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil {
		return nil, fmt.Errorf("%s is not base64url without padding", name)
	}
	return b, nil
}
