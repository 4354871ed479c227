package mint

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"strings"

	"github.com/lestrrat-go/jwx/v2/x25519"
)

// Use says what a key is for, as a JWK's "use" does (RFC 7517 section 4.2).
type Use string

// The uses of a key.
const (
	// Signature: sign and verify.
	Signature Use = "sig"
	// Encryption: encrypt and decrypt.
	Encryption Use = "enc"
)

// family is the kind of key that an algorithm needs.
type family int

const (
	familyRSA family = iota
	familyEC
	familyEd25519
	familyOct
)

// algorithm is one entry of the table of what can be minted.
type algorithm struct {
	name   string
	use    Use
	family family
	curve  elliptic.Curve // familyEC: the curve of a generated key
	size   int            // familyOct: bytes of a generated key
}

// algorithms returns every algorithm that keys can be made for, signatures first (RFC 7518 sections 3.1 and 4.1,
// RFC 8037, RFC 9864). RSA1_5 and PBES2 are missing since nothing should take them.
func algorithms() []algorithm {
	p256, p384, p521 := elliptic.P256(), elliptic.P384(), elliptic.P521()
	return []algorithm{
		{name: "RS256", use: Signature, family: familyRSA},
		{name: "RS384", use: Signature, family: familyRSA},
		{name: "RS512", use: Signature, family: familyRSA},
		{name: "PS256", use: Signature, family: familyRSA},
		{name: "PS384", use: Signature, family: familyRSA},
		{name: "PS512", use: Signature, family: familyRSA},
		{name: "ES256", use: Signature, family: familyEC, curve: p256},
		{name: "ES384", use: Signature, family: familyEC, curve: p384},
		{name: "ES512", use: Signature, family: familyEC, curve: p521},
		{name: "EdDSA", use: Signature, family: familyEd25519},
		{name: "Ed25519", use: Signature, family: familyEd25519},
		{name: "HS256", use: Signature, family: familyOct, size: 32},
		{name: "HS384", use: Signature, family: familyOct, size: 48},
		{name: "HS512", use: Signature, family: familyOct, size: 64},
		{name: "RSA-OAEP", use: Encryption, family: familyRSA},
		{name: "RSA-OAEP-256", use: Encryption, family: familyRSA},
		{name: "ECDH-ES", use: Encryption, family: familyEC, curve: p256},
		{name: "ECDH-ES+A128KW", use: Encryption, family: familyEC, curve: p256},
		{name: "ECDH-ES+A192KW", use: Encryption, family: familyEC, curve: p256},
		{name: "ECDH-ES+A256KW", use: Encryption, family: familyEC, curve: p256},
		{name: "A128KW", use: Encryption, family: familyOct, size: 16},
		{name: "A192KW", use: Encryption, family: familyOct, size: 24},
		{name: "A256KW", use: Encryption, family: familyOct, size: 32},
		{name: "A128GCMKW", use: Encryption, family: familyOct, size: 16},
		{name: "A192GCMKW", use: Encryption, family: familyOct, size: 24},
		{name: "A256GCMKW", use: Encryption, family: familyOct, size: 32},
		{name: "dir", use: Encryption, family: familyOct, size: 32},
	}
}

// Algorithms returns the names of the algorithms for a use, for help texts and completion.
func Algorithms(use Use) []string {
	var names []string
	for _, a := range algorithms() {
		if a.use == use {
			names = append(names, a.name)
		}
	}
	return names
}

// ContentAlgorithms returns the names of the content encryption algorithms (RFC 7518 section 5.1).
func ContentAlgorithms() []string {
	return []string{"A128GCM", "A192GCM", "A256GCM", "A128CBC-HS256", "A192CBC-HS384", "A256CBC-HS512"}
}

// lookup finds an algorithm by its exact name and, if use is not empty, its use.
func lookup(name string, use Use) (algorithm, error) {
	for _, a := range algorithms() {
		if a.name == name && (use == "" || a.use == use) {
			return a, nil
		}
	}
	want := Algorithms(use)
	if use == "" {
		want = append(Algorithms(Signature), Algorithms(Encryption)...)
	}
	return algorithm{}, fmt.Errorf("%q is none of %s", name, strings.Join(want, ", "))
}

// generate makes a raw key for the algorithm. bits is for RSA alone.
func (a algorithm) generate(bits int) (any, error) {
	switch a.family {
	case familyRSA:
		return rsa.GenerateKey(rand.Reader, bits)
	case familyEC:
		return ecdsa.GenerateKey(a.curve, rand.Reader)
	case familyEd25519:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	default:
		secret := make([]byte, a.size)
		_, err := rand.Read(secret)
		return secret, err
	}
}

// fits reports whether a raw key, private or public, can be used with the algorithm.
func (a algorithm) fits(raw any) bool {
	switch k := raw.(type) {
	case *rsa.PrivateKey, *rsa.PublicKey:
		return a.family == familyRSA
	case *ecdsa.PrivateKey:
		return a.fitsCurve(k.Curve)
	case *ecdsa.PublicKey:
		return a.fitsCurve(k.Curve)
	case ed25519.PrivateKey, ed25519.PublicKey:
		return a.family == familyEd25519
	case x25519.PrivateKey, x25519.PublicKey, *ecdh.PrivateKey, *ecdh.PublicKey:
		return a.use == Encryption && a.family == familyEC
	case []byte:
		return a.family == familyOct && (a.use == Signature || a.name == "dir" || len(k) == a.size)
	}
	return false
}

// fitsCurve: a signature algorithm names its curve, key agreement takes any.
func (a algorithm) fitsCurve(c elliptic.Curve) bool {
	return a.family == familyEC && (a.use == Encryption || a.curve == c)
}
