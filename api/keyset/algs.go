package keyset

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"slices"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/lestrrat-go/jwx/v2/x25519"
)

// oaepAlgs and ecdhAlgs are the JWE algorithms of RSA and of EC or X25519 keys (RFC 7518 section 4.1).
func oaepAlgs() []string { return []string{"RSA-OAEP", "RSA-OAEP-256"} }

func ecdhAlgs() []string {
	return []string{"ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A192KW", "ECDH-ES+A256KW"}
}

// algorithms returns what a raw key's type, curve and size fit, before its own "alg" narrows it.
func algorithms(raw any) []string {
	switch k := raw.(type) {
	case *rsa.PublicKey:
		return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
	case *ecdsa.PublicKey:
		return ecdsaAlgs(k.Curve)
	case ed25519.PublicKey:
		return []string{"EdDSA", "Ed25519"}
	case *rsa.PrivateKey:
		return oaepAlgs()
	case *ecdsa.PrivateKey, x25519.PrivateKey:
		return ecdhAlgs()
	}
	return nil
}

func ecdsaAlgs(c elliptic.Curve) []string {
	switch c {
	case elliptic.P256():
		return []string{"ES256"}
	case elliptic.P384():
		return []string{"ES384"}
	case elliptic.P521():
		return []string{"ES512"}
	case secp256k1.S256():
		return []string{"ES256K"}
	}
	return nil
}

// hmacAlgs returns the HMAC algorithms whose hash is no longer than the secret (RFC 7518 section 3.2).
func hmacAlgs(size int) []string {
	var algs []string
	for _, a := range []struct {
		name string
		size int
	}{{"HS256", 32}, {"HS384", 48}, {"HS512", 64}} {
		if size >= a.size {
			algs = append(algs, a.name)
		}
	}
	return algs
}

// symmetricAlgs returns the JWE algorithms of a symmetric key of exactly this size in bytes, and, after "dir", the
// content encryptions it can serve directly (RFC 7518 sections 4.4 to 4.7 and 5.1).
func symmetricAlgs(size int) []string {
	switch size {
	case 16:
		return []string{"A128KW", "A128GCMKW", "dir", "A128GCM"}
	case 24:
		return []string{"A192KW", "A192GCMKW", "dir", "A192GCM"}
	case 32:
		return []string{"A256KW", "A256GCMKW", "dir", "A256GCM", "A128CBC-HS256"}
	case 48:
		return []string{"dir", "A192CBC-HS384"}
	case 64:
		return []string{"dir", "A256CBC-HS512"}
	}
	return nil
}

// narrow keeps of algs what a key's own "alg" allows. EdDSA and Ed25519 are one algorithm for an Ed25519 key (RFC 9864
// section 4.1.2); "dir" goes with every content encryption of the key's size, a content encryption with itself and "dir".
func narrow(algs []string, alg string) []string {
	if alg == "" {
		return algs
	}
	i := slices.Index(algs, alg)
	if i < 0 {
		return nil
	}
	dir := slices.Index(algs, "dir")
	switch {
	case alg == "EdDSA" || alg == "Ed25519":
		return algs
	case dir >= 0 && i == dir:
		return algs[dir:]
	case dir >= 0 && i > dir:
		return []string{"dir", alg}
	}
	return []string{alg}
}
