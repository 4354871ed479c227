package token

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/lestrrat-go/jwx/v2/x25519"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/keyset"
	"github.com/bearerguard/bearerguard/api/policy"
)

// opening is what an issuer says of encrypted tokens.
type opening struct {
	decrypts      bool
	unsigned      bool     // takes tokens that are only encrypted
	encryptedOnly bool     // refuses tokens that are only signed
	keyAlgs       []string // alg; empty: every one
	contentAlgs   []string // enc; empty: every one
	decryption    *choice  // nil: unresolved
}

// read takes the policy's settings; nil: there is no decryption. An error names the field below the issuer.
func (o *opening) read(d *policy.Decryption) error {
	if d == nil {
		return nil
	}
	o.decrypts, o.unsigned, o.encryptedOnly = true, d.AllowUnsigned, d.Required
	if d.KeyAlgorithms != nil && len(d.KeyAlgorithms) == 0 || d.ContentAlgorithms != nil && len(d.ContentAlgorithms) == 0 {
		return errors.New("decryption: keyAlgorithms or contentAlgorithms is an empty list; leave it out to take every algorithm")
	}
	for n, a := range d.KeyAlgorithms {
		if keySize(string(a)) < 0 {
			return fmt.Errorf("decryption.keyAlgorithms[%d]: %q is not an algorithm that is decrypted; want RSA-OAEP-256, ECDH-ES or such", n, a)
		}
		o.keyAlgs = append(o.keyAlgs, string(a))
	}
	for n, a := range d.ContentAlgorithms {
		if contentKeySize(string(a)) == 0 {
			return fmt.Errorf("decryption.contentAlgorithms[%d]: %q is not an algorithm that is decrypted; want A256GCM or such", n, a)
		}
		o.contentAlgs = append(o.contentAlgs, string(a))
	}
	return nil
}

// allows checks the algorithms of a JWE against those that the policy lists.
func (o *opening) allows(h *header) decision.Refusal {
	switch {
	case len(o.keyAlgs) > 0 && !slices.Contains(o.keyAlgs, h.alg):
		return refuse(decision.AlgorithmNotAllowed, fault{
			subject: "alg", problem: "is " + h.alg + ", which decryption.keyAlgorithms does not list", wants: o.keyAlgs,
		})
	case len(o.contentAlgs) > 0 && !slices.Contains(o.contentAlgs, h.enc):
		return refuse(decision.AlgorithmNotAllowed, fault{
			subject: "enc", problem: "is " + h.enc + ", which decryption.contentAlgorithms does not list", wants: o.contentAlgs,
		})
	}
	return decision.Refusal{}
}

// decrypt decrypts a JWE and verifies what is inside. Every way in which decryption can go wrong is one Reason, and
// every way in which the cryptography can is one cause, so that nobody learns more of a ciphertext that he sends.
func (v *Verifier) decrypt(t *Token, now time.Time) (Verified, decision.Refusal) {
	if no := v.mayOpen(&t.header); no.Refused() {
		return Verified{}, no
	}
	k, content, no := v.open(t)
	if no.Refused() {
		return Verified{}, no
	}
	return v.inside(t, k, content, now)
}

// mayOpen checks what can be told of a JWE before a key is touched.
func (v *Verifier) mayOpen(h *header) decision.Refusal {
	switch {
	case !v.decrypts:
		return because(decision.NotDecryptable, "the token is encrypted (JWE), and the issuer has no decryption")
	case otherUse(h.typ):
		return h.checkType(nil)
	case h.hasCty && !h.nested():
		return refuse(decision.WrongType, fault{subject: "cty", problem: "is not JWT: what is inside is no token", has: h.cty})
	case !h.nested() && !v.unsigned:
		return because(decision.Unsigned, "cty is missing, so that nothing inside is signed; want cty JWT, or decryption.allowUnsigned: true")
	}
	if no := v.allows(h); no.Refused() {
		return no
	}
	if v.decryption == nil {
		return refuse(decision.KeysUnavailable, fault{subject: "the decryption keys of issuer " + v.name, problem: "have not been read yet"})
	}
	return decision.Refusal{}
}

// open decrypts a JWE with the first key that does it.
func (v *Verifier) open(t *Token) (keyset.Key, opened, decision.Refusal) {
	keys, no := v.decryption.pick(t.header.kid, t.header.alg)
	if no.Refused() {
		no.Reason = decision.NotDecryptable
		return keyset.Key{}, opened{}, no
	}
	for _, k := range keys {
		if !t.fits(k) {
			continue
		}
		if content := t.jwe.opened.do(k, func() opened { return t.openWith(k) }); content.ok {
			return k, content, decision.Refusal{}
		}
	}
	return keyset.Key{}, opened{}, decision.Refusal{Reason: decision.NotDecryptable, Cause: keying{
		problem: "the token does not decrypt", kid: t.header.kid, label: "tried", keys: keys,
	}}
}

// openWith decrypts a JWE with one key, and parses a token inside.
func (t *Token) openWith(k keyset.Key) opened {
	plain, ok := decryptWith(t, k.Raw())
	content := opened{ok: ok, plain: string(plain)}
	if ok && t.header.nested() {
		content.inner, content.refusal = Parse(content.plain)
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

// inside verifies the content of a JWE: a JWS, one level deep (RFC 7519 section 5.2), or bare claims where the issuer
// allows them from who holds the symmetric key.
func (v *Verifier) inside(t *Token, k keyset.Key, content opened, now time.Time) (Verified, decision.Refusal) {
	if t.header.nested() {
		out, no := v.nested(t, content, now)
		return out, inside(no)
	}
	if !k.Symmetric() {
		return Verified{}, because(decision.Unsigned, "nothing inside is signed, and everybody can encrypt to a public key; want cty JWT")
	}
	var r registered
	if no := r.parse(content.plain); no.Refused() {
		return Verified{}, inside(no)
	}
	if no := t.replicates(r.all); no.Refused() {
		return Verified{}, no
	}
	if no := v.accepts(&t.header, &r, now); no.Refused() {
		return Verified{}, no
	}
	return v.verified(&r, k.ID), decision.Refusal{}
}

// nested verifies the JWS that a JWE holds.
func (v *Verifier) nested(t *Token, content opened, now time.Time) (Verified, decision.Refusal) {
	inner := content.inner
	switch {
	case content.refusal.Refused():
		return Verified{}, content.refusal
	case inner.header.encrypted:
		return Verified{}, because(decision.WrongType, "what is inside is encrypted once more; want a signed token")
	}
	if no := t.replicates(inner.jws.claims.all); no.Refused() {
		return Verified{}, no
	}
	return v.verifySigned(inner, now)
}

// replicates checks that claims repeated in the header are those inside (RFC 7519 section 5.3).
func (t *Token) replicates(claims decision.Claims) decision.Refusal {
	for _, name := range []string{"iss", "sub", "aud"} {
		if v, has := t.header.members[name]; has && !reflect.DeepEqual(v, claims[name]) {
			return refuse(decision.BadClaim, fault{subject: name + " of the header", problem: "is not that of the claims", has: v})
		}
	}
	return decision.Refusal{}
}
