package keyset

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"math/big"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/lestrrat-go/jwx/v2/x25519"
)

// Bounds of an RSA modulus in bits. The upper one bounds the work of a verification.
const (
	minRSABits = 2048
	maxRSABits = 8192
)

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// newKey completes a key from its raw form and its canonical members.
func newKey(raw any, class string, members map[string]string) Key {
	return Key{raw: raw, algs: algorithms(raw), class: class, jwk: members, Thumbprint: thumbprint(members)}
}

// symmetric vets a shared secret.
func symmetric(secret []byte, use Use) (Key, error) {
	k := Key{raw: secret, class: "symmetric", jwk: map[string]string{"kty": "oct", "k": b64(secret)}}
	if use == Decrypt {
		k.algs = symmetricAlgs(len(secret))
		if k.algs == nil {
			return Key{}, fmt.Errorf("has %d bytes; want 16, 24, 32, 48 or 64, as the algorithm has it", len(secret))
		}
		return k, nil
	}
	k.algs = hmacAlgs(len(secret))
	if k.algs == nil {
		return Key{}, fmt.Errorf("has %d bytes; an HMAC secret has at least %d", len(secret), MinSecret)
	}
	return k, nil
}

// rsaPublic vets an RSA public key (RFC 7518 sections 3.3, 3.5, 4.3).
func rsaPublic(p *rsa.PublicKey) (Key, error) {
	k := newKey(p, "RSA", map[string]string{
		"kty": "RSA", "n": b64(p.N.Bytes()), "e": b64(big.NewInt(int64(p.E)).Bytes()),
	})
	switch bits := p.N.BitLen(); {
	case bits < minRSABits:
		return k, fmt.Errorf("has %d bits; an RSA key has at least %d", bits, minRSABits)
	case bits > maxRSABits:
		return k, fmt.Errorf("has %d bits; an RSA key of more than %d is not taken", bits, maxRSABits)
	case p.N.Bit(0) == 0:
		return k, errors.New("has an even modulus")
	case p.E < 3 || p.E&1 == 0:
		return k, errors.New("has an exponent that is even or less than 3")
	case p.E > math.MaxInt32:
		return k, errors.New("has an exponent above 2^31-1")
	case weakRSALibrary(p.N):
		return k, errors.New("was made by a library whose keys can be factored (CVE-2017-15361)")
	}
	return k, nil
}

// rsaPrivate vets an RSA private key for decryption.
func rsaPrivate(p *rsa.PrivateKey) (Key, error) {
	k, err := rsaPublic(&p.PublicKey)
	if err != nil {
		return k, err
	}
	if len(p.Primes) != 2 {
		return k, errors.New("does not have exactly two primes")
	}
	if p.Validate() != nil {
		return k, errors.New("has private members that do not belong to the public ones")
	}
	p.Precompute()
	k.raw, k.algs = p, algorithms(p)
	k.jwk["d"], k.jwk["p"], k.jwk["q"] = b64(p.D.Bytes()), b64(p.Primes[0].Bytes()), b64(p.Primes[1].Bytes())
	return k, nil
}

// curve is what there is to know of a JWK curve.
type curve struct {
	name  string
	curve elliptic.Curve
	size  int // of a coordinate, in bytes
}

func curves() []curve {
	return []curve{
		{"P-256", elliptic.P256(), 32},
		{"P-384", elliptic.P384(), 48},
		{"P-521", elliptic.P521(), 66},
		{"secp256k1", secp256k1.S256(), 32},
	}
}

// ecPublic vets an EC public key given as an uncompressed point: 4, x, y.
func ecPublic(c curve, point []byte) (Key, error) {
	var p *ecdsa.PublicKey
	if c.name == "secp256k1" {
		parsed, err := secp256k1.ParsePubKey(point)
		if err != nil {
			return Key{}, errors.New("is not a point on its curve")
		}
		p = parsed.ToECDSA()
	} else {
		parsed, err := ecdsa.ParseUncompressedPublicKey(c.curve, point)
		if err != nil {
			return Key{}, errors.New("is not a point on its curve")
		}
		p = parsed
	}
	return newKey(p, "EC "+c.name, map[string]string{
		"kty": "EC", "crv": c.name, "x": b64(point[1 : 1+c.size]), "y": b64(point[1+c.size:]),
	}), nil
}

// ecPrivate completes a vetted EC public key with its private scalar, for decryption.
func ecPrivate(k Key, c curve, d []byte) (Key, error) {
	if c.name == "secp256k1" {
		return k, errors.New("secp256k1 does not decrypt")
	}
	p, err := ecdsa.ParseRawPrivateKey(c.curve, d)
	if err != nil || !p.PublicKey.Equal(k.raw) {
		return k, errors.New("has a private member that does not belong to the public ones")
	}
	k.raw, k.algs = p, algorithms(p)
	k.jwk["d"] = b64(d)
	return k, nil
}

// ed25519Public takes an Ed25519 public key (RFC 8037 section 2).
func ed25519Public(x []byte) Key {
	return newKey(ed25519.PublicKey(x), "Ed25519", map[string]string{"kty": "OKP", "crv": "Ed25519", "x": b64(x)})
}

// x25519Private takes an X25519 private key; x is nil, or what it must be.
func x25519Private(d, x []byte) (Key, error) {
	p, err := ecdh.X25519().NewPrivateKey(d)
	if err != nil {
		return Key{}, errors.New("has a private member of a wrong size")
	}
	public := p.PublicKey().Bytes()
	if x != nil && string(x) != string(public) {
		return Key{}, errors.New("has a private member that does not belong to the public one")
	}
	raw, err := x25519.NewKeyFromSeed(d)
	if err != nil {
		return Key{}, errors.New("has a private member of a wrong size")
	}
	return newKey(raw, "X25519", map[string]string{"kty": "OKP", "crv": "X25519", "x": b64(public), "d": b64(d)}), nil
}
