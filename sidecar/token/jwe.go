package token

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"reflect"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwe"
	"github.com/lestrrat-go/jwx/v2/x25519"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/keyset"
)

// encrypted is what is checked of a JWE before any key is touched.
type encrypted struct {
	keyBytes int    // length of the encrypted key
	curve    string // of the ephemeral key, with ECDH-ES
	opened   memo[opened]
}

// keySize returns how many bytes an encrypted key is longer than the content key that it wraps; 0 also where it has
// another length (RSA) or must be missing; -1 for algorithms that are not decrypted: RSA1_5 (padding oracles), PBES2
// (unbounded work), and unknown ones. RFC 7518 section 4.1.
func keySize(alg string) int {
	switch alg {
	case "A128KW", "A192KW", "A256KW", "ECDH-ES+A128KW", "ECDH-ES+A192KW", "ECDH-ES+A256KW":
		return 8
	case "A128GCMKW", "A192GCMKW", "A256GCMKW", "RSA-OAEP", "RSA-OAEP-256", "ECDH-ES", "dir":
		return 0
	}
	return -1
}

// contentKeySize returns the size of the content key in bytes; 0 for encryptions that are not known (RFC 7518 section
// 5.1).
func contentKeySize(enc string) int {
	switch enc {
	case "A128GCM":
		return 16
	case "A192GCM":
		return 24
	case "A256GCM", "A128CBC-HS256":
		return 32
	case "A192CBC-HS384":
		return 48
	case "A256CBC-HS512":
		return 64
	}
	return 0
}

func isCBC(enc string) bool {
	return enc == "A128CBC-HS256" || enc == "A192CBC-HS384" || enc == "A256CBC-HS512"
}

// readEncrypted checks the length of each part of a JWE, since jwx joins ciphertext and tag wherever they are cut, and
// panics on an encrypted key that is too short, and the header members that its algorithm needs.
func (t *Token) readEncrypted() bool {
	var b [5][]byte
	for i := 1; i < 5; i++ {
		var ok bool
		if b[i], ok = decode(t.parts[i]); !ok {
			return false
		}
	}
	h := &t.header
	t.jwe.keyBytes = len(b[1])
	iv, tag := 12, 16
	if isCBC(h.enc) {
		iv, tag = 16, contentKeySize(h.enc)/2
		if len(b[3]) == 0 || len(b[3])%16 != 0 {
			return false
		}
	}
	return len(b[2]) == iv && len(b[3]) > 0 && len(b[4]) == tag && t.wrapped()
}

// wrapped checks the encrypted key and the header members that belong to the algorithm (RFC 7518 sections 4.3 to 4.7).
func (t *Token) wrapped() bool {
	h := &t.header
	size := contentKeySize(h.enc) + keySize(h.alg)
	switch h.alg {
	case "dir":
		return t.jwe.keyBytes == 0
	case "ECDH-ES":
		return t.jwe.keyBytes == 0 && t.ephemeral()
	case "ECDH-ES+A128KW", "ECDH-ES+A192KW", "ECDH-ES+A256KW":
		return t.jwe.keyBytes == size && t.ephemeral()
	case "A128GCMKW", "A192GCMKW", "A256GCMKW":
		return t.jwe.keyBytes == size && h.sized("iv", 12) && h.sized("tag", 16)
	case "A128KW", "A192KW", "A256KW":
		return t.jwe.keyBytes == size
	}
	return t.jwe.keyBytes >= 256 // RSA of 2048 bits; the key's own size is compared when it is chosen
}

// member decodes a base64url header member that is a string.
func member(members map[string]any, name string) ([]byte, bool) {
	s, ok := members[name].(string)
	if !ok {
		return nil, false
	}
	return decode(s)
}

func (h *header) sized(name string, size int) bool {
	b, ok := member(h.members, name)
	return ok && len(b) == size
}

// ephemeral checks the ephemeral public key, on its curve (CVE-2016-9121), and the party infos.
func (t *Token) ephemeral() bool {
	for _, name := range []string{"apu", "apv"} {
		if _, has := t.header.members[name]; has {
			if _, ok := member(t.header.members, name); !ok {
				return false
			}
		}
	}
	epk, ok := t.header.members["epk"].(map[string]any)
	if !ok {
		return false
	}
	if _, private := epk["d"]; private {
		return false
	}
	kty, _ := epk["kty"].(string)
	t.jwe.curve, _ = epk["crv"].(string)
	x, ok := member(epk, "x")
	if !ok {
		return false
	}
	if kty == "OKP" {
		return t.jwe.curve == "X25519" && len(x) == 32
	}
	y, ok := member(epk, "y")
	if !ok || kty != "EC" {
		return false
	}
	for _, c := range []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()} {
		if size := (c.Params().BitSize + 7) / 8; c.Params().Name == t.jwe.curve && len(x) == size && len(y) == size {
			_, err := ecdsa.ParseUncompressedPublicKey(c, append(append([]byte{4}, x...), y...))
			return err == nil
		}
	}
	return false
}

// decrypt decrypts a JWE and verifies what is inside. Every way in which decryption can go wrong is one Reason.
func (v *Verifier) decrypt(t *Token, now time.Time) (Verified, decision.Reason) {
	h := &t.header
	switch {
	case !v.decrypts:
		return Verified{}, decision.NotDecryptable
	case otherUse(h.typ), h.hasCty && !h.nested():
		return Verified{}, decision.WrongType
	case !h.nested() && !v.unsigned:
		return Verified{}, decision.Unsigned
	case v.decryption == nil:
		return Verified{}, decision.KeysUnavailable
	}
	k, content := v.open(t)
	if !content.ok {
		return Verified{}, decision.NotDecryptable
	}
	return v.inside(t, k, content, now)
}

// open decrypts a JWE with the first key that does it.
func (v *Verifier) open(t *Token) (keyset.Key, opened) {
	keys, reason := v.decryption.pick(t.header.kid, t.header.alg)
	if reason != "" {
		return keyset.Key{}, opened{}
	}
	for _, k := range keys {
		if !t.fits(k) {
			continue
		}
		if content := t.jwe.opened.do(k, func() opened { return t.openWith(k) }); content.ok {
			return k, content
		}
	}
	return keyset.Key{}, opened{}
}

// openWith decrypts a JWE with one key, and parses a token inside.
func (t *Token) openWith(k keyset.Key) opened {
	plain, ok := decryptWith(t, k.Raw())
	content := opened{ok: ok, plain: string(plain)}
	if ok && t.header.nested() {
		content.inner, content.reason = Parse(content.plain)
	}
	return content
}

// fits compares what pick cannot: the content encryption with a direct key, the curve, the size of the modulus.
func (t *Token) fits(k keyset.Key) bool {
	switch raw := k.Raw().(type) {
	case []byte:
		return t.header.alg != "dir" || k.Fits(t.header.enc)
	case *rsa.PrivateKey:
		return t.jwe.keyBytes == raw.Size()
	case *ecdsa.PrivateKey:
		return t.jwe.curve == raw.Curve.Params().Name
	case x25519.PrivateKey:
		return t.jwe.curve == "X25519"
	}
	return false
}

// decryptWith lets jwx decrypt with exactly one algorithm and one key. It can panic on hostile input.
func decryptWith(t *Token, key any) (plain []byte, ok bool) {
	defer func() {
		if recover() != nil {
			plain, ok = nil, false
		}
	}()
	plain, err := jwe.Decrypt([]byte(t.raw), jwe.WithKey(jwa.KeyEncryptionAlgorithm(t.header.alg), key))
	return plain, err == nil
}

// inside verifies the content of a JWE: a JWS, one level deep (RFC 7519 section 5.2), or bare claims where the issuer
// allows them from who holds the symmetric key.
func (v *Verifier) inside(t *Token, k keyset.Key, content opened, now time.Time) (Verified, decision.Reason) {
	if t.header.nested() {
		inner := content.inner
		switch {
		case content.reason != "":
			return Verified{}, content.reason
		case inner.header.encrypted:
			return Verified{}, decision.WrongType
		case !t.replicates(inner.jws.claims.all):
			return Verified{}, decision.BadClaim
		}
		return v.verifySigned(inner, now)
	}
	if !k.Symmetric() {
		return Verified{}, decision.Unsigned
	}
	var r registered
	if reason := r.parse(content.plain); reason != "" {
		return Verified{}, reason
	}
	if !t.replicates(r.all) {
		return Verified{}, decision.BadClaim
	}
	if reason := v.accepts(&t.header, &r, now); reason != "" {
		return Verified{}, reason
	}
	return v.verified(&r, k.ID), ""
}

// replicates checks that claims repeated in the header are those inside (RFC 7519 section 5.3).
func (t *Token) replicates(claims decision.Claims) bool {
	for _, name := range []string{"iss", "sub", "aud"} {
		if v, has := t.header.members[name]; has && !reflect.DeepEqual(v, claims[name]) {
			return false
		}
	}
	return true
}
