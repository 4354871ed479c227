package keyset

import (
	"crypto/rsa"
	"strings"
)

// Description is what may be shown of a key to whoever looks after it. It holds nothing of a secret: a symmetric key has no
// thumbprint, since that is a hash by which it could be guessed (RFC 7638 section 7), nor a size.
type Description struct {
	// KeyID is "kid", cut at 256 bytes, and as it is otherwise: who prints it escapes it; empty if the key has none.
	KeyID string `json:"kid,omitempty"`
	// Type, Curve and Algorithm are the members kty, crv and alg (RFC 7517 section 4, RFC 7518 section 6). Algorithm is empty if the
	// key limits nothing.
	Type      string `json:"kty"`
	Curve     string `json:"crv,omitempty"`
	Algorithm string `json:"alg,omitempty"`
	// Use is "sig" for a key that verifies, and "enc" for one that decrypts.
	Use string `json:"use"`
	// Bits is the size of an RSA modulus.
	Bits int `json:"bits,omitempty"`
	// Thumbprint is the SHA-256 JWK thumbprint of the public half (RFC 7638), base64url.
	Thumbprint string `json:"thumbprint,omitempty"`
	// Fits are the algorithms that the key can be used with.
	Fits []string `json:"fits,omitempty"`
}

// mostKeyID is how much of a kid is shown, in bytes.
const mostKeyID = 256

// Describe describes a key of a set that was read for this use.
func (k Key) Describe(use Use) Description {
	d := Description{
		KeyID: cut(k.ID), Type: k.jwk["kty"], Curve: k.jwk["crv"], Algorithm: k.Alg, Use: "sig", Fits: k.algs,
	}
	if use == Decrypt {
		d.Use = "enc"
	}
	if k.Symmetric() {
		d.Fits = nil // they tell its size
		return d
	}
	d.Thumbprint = k.Thumbprint
	switch raw := k.raw.(type) {
	case *rsa.PublicKey:
		d.Bits = raw.N.BitLen()
	case *rsa.PrivateKey:
		d.Bits = raw.N.BitLen()
	}
	return d
}

func cut(kid string) string {
	if len(kid) <= mostKeyID {
		return kid
	}
	return strings.ToValidUTF8(kid[:mostKeyID-3], "") + "..."
}
