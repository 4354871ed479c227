package token

import (
	"crypto"
	"crypto/rsa"
	_ "crypto/sha256" // linked for the PSS hashes
	_ "crypto/sha512"
	"errors"
	"sync"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jws"

	"github.com/bearerguard/bearerguard/api/keyset"
)

// defaultAlgorithms are allowed where an issuer lists none: every asymmetric one but ES256K (RFC 8812), whose curve is
// not for everybody. HMAC works only when listed (RFC 8725 section 3.1).
func defaultAlgorithms() []string {
	return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"}
}

// knownJWS reports whether the algorithm is one that can be verified here (RFC 7518 section 3.1, RFC 8037, RFC 8812,
// RFC 9864).
func knownJWS(alg string) bool {
	switch alg {
	case "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "ES256K", "EdDSA", "Ed25519",
		"HS256", "HS384", "HS512":
		return true
	}
	return false
}

// verifier checks one signature with one key; jws.Verifier is one.
type verifier interface {
	Verify(payload, signature []byte, key any) error
}

// scheme is a JWS algorithm, ready to verify.
type scheme struct{ verifier verifier }

// newScheme prepares an algorithm that knownJWS knows. jwx v2 takes PSS salts of any length, RFC 7518 section 3.5 only
// of the hash's: so PSS goes to crypto/rsa directly. PKCS #1 v1.5 and ES256 are done here, with prepared keys.
func newScheme(alg string) scheme {
	switch alg {
	case "PS256":
		return scheme{pss{crypto.SHA256}}
	case "PS384":
		return scheme{pss{crypto.SHA384}}
	case "PS512":
		return scheme{pss{crypto.SHA512}}
	case "Ed25519": // the same signature as EdDSA with this curve (RFC 9864 section 2.2)
		alg = "EdDSA"
	}
	v, err := jws.NewVerifier(jwa.SignatureAlgorithm(alg))
	if err != nil {
		return scheme{}
	}
	switch alg {
	case "RS256":
		v = pkcs1{crypto.SHA256, v}
	case "RS384":
		v = pkcs1{crypto.SHA384, v}
	case "RS512":
		v = pkcs1{crypto.SHA512, v}
	case "ES256":
		v = es256{v}
	}
	return scheme{v}
}

// verify checks the signature; a scheme that is missing, or a panic in the library, is a signature that does not verify.
func (s scheme) verify(input, signature []byte, key any) (ok bool) {
	if s.verifier == nil {
		return false
	}
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	return s.verifier.Verify(input, signature, key) == nil
}

// proving are the algorithms of signatures by a key that the client brings itself.
var proving = sync.OnceValue(func() map[string]scheme {
	out := map[string]scheme{}
	for _, alg := range defaultAlgorithms() {
		out[alg] = newScheme(alg)
	}
	return out
})

// ProofAlgorithms are the algorithms that Signed knows: asymmetric ones alone.
func ProofAlgorithms() []string { return defaultAlgorithms() }

// Signed reports whether a key made the signature of input, by one of ProofAlgorithms that it fits.
func Signed(alg string, key keyset.Key, input, signature []byte) bool {
	return key.Fits(alg) && proving()[alg].verify(input, signature, key.Raw())
}

// pss verifies RSASSA-PSS with a salt as long as the hash.
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
