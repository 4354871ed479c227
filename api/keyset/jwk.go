package keyset

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/bearerguard/bearerguard/api/keyset/strictjson"
)

// jwks reads a JWK Set, a list of JWKs, or a single JWK.
func (c *collector) jwks(text []byte, r Reading) error {
	doc, err := strictjson.Value(text)
	if err != nil {
		return err
	}
	list, err := jwkList(doc)
	if err != nil {
		return err
	}
	for i, v := range list {
		if c.full(0) {
			c.note(fmt.Sprintf("has %d keys; the first %d are kept", len(list), MaxKeys))
			break
		}
		name := fmt.Sprintf("keys[%d]", i)
		m, ok := v.(map[string]any)
		if !ok {
			c.add(name, Key{}, errors.New("is not an object"))
			continue
		}
		j, use := newJWK(m), r.Use
		if r.SVID && !j.forSVID() {
			continue
		}
		k, err := j.key(use)
		name = j.name(name, k)
		if err == nil {
			var note string
			note, err = j.certificate(k)
			if note == "" && err == nil {
				note = j.oddUse(use)
			}
			if note != "" {
				c.note(name + ": " + note)
			}
		}
		c.add(name, k, err)
	}
	return nil
}

// jwkList returns what ought to be JWKs.
func jwkList(doc any) ([]any, error) {
	if list, ok := doc.([]any); ok {
		return list, nil
	}
	set, _ := doc.(map[string]any)
	if _, isKey := set["kty"]; isKey {
		return []any{doc}, nil
	}
	if list, ok := set["keys"].([]any); ok {
		return list, nil
	}
	return nil, errors.New(`is no JWK Set: want {"keys": [...]}, a list of keys, or a single key with "kty"`)
}

// PublicJWK vets a JWK that a client brings itself, such as that of a DPoP proof (RFC 9449 section 4.2): an asymmetric public
// key, and no trace of a private one. It changes members.
func PublicJWK(members map[string]any) (Key, error) {
	j := jwk{members}
	if name, has := j.private(); has {
		return Key{}, fmt.Errorf("has the private member %s", name)
	}
	return newJWK(members).key(Public)
}

// jwk reads the members of one JWK.
type jwk struct{ members map[string]any }

// newJWK drops members with null, "" or []: serializers write them for what is not there.
func newJWK(members map[string]any) jwk {
	maps.DeleteFunc(members, func(_ string, v any) bool {
		list, isList := v.([]any)
		return v == nil || v == "" || isList && len(list) == 0
	})
	return jwk{members}
}

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

// meant checks "use" and "key_ops" (RFC 7517 sections 4.2 and 4.3). An unknown use is none that is known to be another.
func (j jwk) meant(use Use) error {
	want, ops := "sig", []string{"verify"}
	switch {
	case use == Decrypt:
		want, ops = "enc", []string{"decrypt", "unwrapKey", "deriveKey", "deriveBits"}
	case use == Verify && j.has("d"):
		ops = []string{"verify", "sign"}
	}
	if got := j.meaning(); got != "" && got != want {
		return fmt.Errorf("its use is not %q", want)
	}
	if !j.has("key_ops") {
		return nil
	}
	list, ok := j.members["key_ops"].([]any)
	if !ok {
		return errors.New("key_ops is not a list")
	}
	for _, op := range list {
		if s, ok := op.(string); ok && slices.Contains(ops, s) {
			return nil
		}
	}
	return fmt.Errorf("its key_ops have no %q", ops[0])
}

// meaning returns the use as far as it is known, with the names that SPIFFE has for it: "sig", "enc" or "x509-svid".
// A key for X.509 certificates alone verifies no token (SPIFFE Trust Domain and Bundle section 4.2.2).
func (j jwk) meaning() string {
	switch use, _ := j.members["use"].(string); use {
	case "jwt-svid":
		return "sig"
	case "sig", "enc", "x509-svid":
		return use
	}
	return ""
}

// forSVID reports whether the key is for JWT-SVIDs. Others of a bundle are for X.509, or unknown, and are left alone (SPIFFE Trust
// Domain and Bundle section 4.2.2).
func (j jwk) forSVID() bool { return j.members["use"] == "jwt-svid" }

// oddUse notes a use that is not known, which costs no key: other members and the source say what the key is for.
func (j jwk) oddUse(use Use) string {
	if !j.has("use") || j.meaning() != "" {
		return ""
	}
	if use == Decrypt {
		return "its use is not known, and is taken for enc"
	}
	return "its use is not known, and is taken for sig"
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

// bytes returns a required base64url member (RFC 7515 section 2). Padding, white space and the two characters of plain
// base64 are read too: what they mean is beyond doubt. Unused bits must be zero.
func (j jwk) bytes(name string) ([]byte, error) {
	s, err := j.text(name)
	if err != nil {
		return nil, err
	}
	if s == "" {
		return nil, fmt.Errorf("has no %s", name)
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(strings.TrimRight(base64url.Replace(s), "="))
	if err != nil {
		return nil, fmt.Errorf("%s is not base64url", name)
	}
	return b, nil
}

var base64url = strings.NewReplacer("+", "-", "/", "_", " ", "", "\t", "", "\r", "", "\n", "")
