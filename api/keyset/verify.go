package keyset

import (
	"crypto"
	"crypto/rsa"
	_ "crypto/sha256" // linked for the PSS hashes
	_ "crypto/sha512"
	"errors"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jws"
)

// Verifies reports whether a signature of some input is the key's, by an asymmetric JWS algorithm that the key fits. It is for signatures that
// come seldom; a sidecar has faster ones. ES256K and HMAC are not among its algorithms.
func (k Key) Verifies(alg string, input, signature []byte) (ok bool) {
	v := verifierOf(alg)
	if v == nil || k.Symmetric() || !k.Fits(alg) {
		return false
	}
	defer func() {
		if recover() != nil { // a panic of the library is a signature that does not verify
			ok = false
		}
	}()
	return v.Verify(input, signature, k.raw) == nil
}

// CanVerify reports whether Verifies knows an algorithm.
func CanVerify(alg string) bool { return verifierOf(alg) != nil }

// verifier checks one signature with one key; jws.Verifier is one.
type verifier interface {
	Verify(payload, signature []byte, key any) error
}

func verifierOf(alg string) verifier {
	switch alg {
	case "PS256":
		return pss{crypto.SHA256}
	case "PS384":
		return pss{crypto.SHA384}
	case "PS512":
		return pss{crypto.SHA512}
	case "Ed25519": // the same signature as EdDSA with this curve (RFC 9864 section 2.2)
		alg = "EdDSA"
	case "RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "EdDSA":
	default:
		return nil
	}
	v, err := jws.NewVerifier(jwa.SignatureAlgorithm(alg))
	if err != nil {
		return nil
	}
	return v
}

// pss verifies RSASSA-PSS with a salt as long as the hash, the only one that RFC 7518 section 3.5 allows; jwx takes any.
type pss struct{ hash crypto.Hash }

// Verify checks one signature.
func (p pss) Verify(payload, signature []byte, key any) error {
	public, ok := key.(*rsa.PublicKey)
	if !ok {
		return errors.New("is not an RSA key")
	}
	h := p.hash.New()
	h.Write(payload)
	return rsa.VerifyPSS(public, p.hash, h.Sum(nil), signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
}
