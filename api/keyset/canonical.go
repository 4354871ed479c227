package keyset

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"slices"
)

// Canonical returns the set as JWK Set JSON, private and symmetric parts included: the same bytes for the same keys, in
// whatever order and with whatever further members the source had them. Parse of it, for Verify or Decrypt as the set
// was made for, gives an equal set.
func (s *Set) Canonical() []byte {
	var b bytes.Buffer
	b.WriteString(`{"keys":[`)
	for i, k := range s.keys {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(k.canonical())
	}
	b.WriteString(`]}`)
	return b.Bytes()
}

// canonical returns the key as a JWK; encoding/json sorts the members of a map, and cannot fail on strings.
func (k Key) canonical() []byte {
	m := maps.Clone(k.jwk)
	if k.ID != "" {
		m["kid"] = k.ID
	}
	if k.Alg != "" {
		m["alg"] = k.Alg
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	_ = e.Encode(m)
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}

func sortKeys(keys []Key) {
	slices.SortFunc(keys, func(a, b Key) int {
		return cmp.Or(cmp.Compare(a.ID, b.ID), bytes.Compare(a.canonical(), b.canonical()))
	})
}

// thumbprint is RFC 7638 with SHA-256, over the members that it requires for the key's type.
func thumbprint(jwk map[string]string) string {
	required := map[string]string{}
	for _, name := range []string{"kty", "crv", "x", "y", "n", "e"} {
		if v, ok := jwk[name]; ok {
			required[name] = v
		}
	}
	text, _ := json.Marshal(required)
	sum := sha256.Sum256(text)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
