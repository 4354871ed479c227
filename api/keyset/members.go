package keyset

import (
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
)

// half says whether the private half of an asymmetric JWK is wanted, and refuses one that has been given away.
func (j jwk) half(use Use) (private bool, err error) {
	name, has := j.private()
	switch {
	case use == Public && has:
		return false, fmt.Errorf("has the private member %s in a place for public keys", name)
	case use == Decrypt && !j.has("d"):
		return false, errors.New("is a public key; decryption needs the private one")
	}
	return use == Decrypt, nil
}

// rsa reads the members of RFC 7518 section 6.3.
func (j jwk) rsa(use Use) (Key, error) {
	private, err := j.half(use)
	if err != nil {
		return Key{}, err
	}
	n, err := j.integer("n")
	if err != nil {
		return Key{}, err
	}
	e, err := j.integer("e")
	if err != nil {
		return Key{}, err
	}
	if e.BitLen() > 31 {
		return Key{}, errors.New("has an exponent above 2^31-1")
	}
	public := rsa.PublicKey{N: n, E: int(e.Int64())}
	if !private {
		return rsaPublic(&public)
	}
	if j.has("oth") {
		return Key{}, errors.New("has more than two primes")
	}
	p := &rsa.PrivateKey{PublicKey: public, Primes: make([]*big.Int, 2)}
	for _, m := range []struct {
		name string
		to   **big.Int
	}{{"d", &p.D}, {"p", &p.Primes[0]}, {"q", &p.Primes[1]}} {
		if *m.to, err = j.integer(m.name); err != nil {
			return Key{}, err
		}
	}
	return rsaPrivate(p)
}

// integer reads a Base64urlUInt (RFC 7518 section 2). Leading zero octets are tolerated: some issuers write them.
func (j jwk) integer(name string) (*big.Int, error) {
	b, err := j.bytes(name)
	if err != nil {
		return nil, err
	}
	return new(big.Int).SetBytes(b), nil
}

// ec reads the members of RFC 7518 section 6.2.
func (j jwk) ec(use Use) (Key, error) {
	private, err := j.half(use)
	if err != nil {
		return Key{}, err
	}
	crv, err := j.text("crv")
	if err != nil {
		return Key{}, err
	}
	for _, c := range curves() {
		if c.name != crv {
			continue
		}
		k, err := j.point(c)
		if err != nil || !private {
			return k, err
		}
		d, err := j.coordinate("d", c.size)
		if err != nil {
			return k, err
		}
		return ecPrivate(k, c, d)
	}
	return Key{}, errors.New("has a crv that is none of P-256, P-384, P-521, secp256k1")
}

func (j jwk) point(c curve) (Key, error) {
	x, err := j.coordinate("x", c.size)
	if err != nil {
		return Key{}, err
	}
	y, err := j.coordinate("y", c.size)
	if err != nil {
		return Key{}, err
	}
	return ecPublic(c, append(append([]byte{4}, x...), y...))
}

// coordinate reads a coordinate or private number of an EC key, which RFC 7518 sections 6.2.1.2 and 6.2.2.1 want at full
// length. Some issuers drop leading zero octets and some have one too many; the number is the same.
func (j jwk) coordinate(name string, size int) ([]byte, error) {
	n, err := j.integer(name)
	if err != nil {
		return nil, err
	}
	if n.BitLen() > 8*size {
		return nil, fmt.Errorf("%s has %d bytes; want %d", name, (n.BitLen()+7)/8, size)
	}
	return n.FillBytes(make([]byte, size)), nil
}

// sized reads a base64url member of exactly size bytes: octets that are no number (RFC 8037 section 2).
func (j jwk) sized(name string, size int) ([]byte, error) {
	b, err := j.bytes(name)
	if err != nil {
		return nil, err
	}
	if len(b) != size {
		return nil, fmt.Errorf("%s has %d bytes; want %d", name, len(b), size)
	}
	return b, nil
}

// okp reads the members of RFC 8037 section 2.
func (j jwk) okp(use Use) (Key, error) {
	private, err := j.half(use)
	if err != nil {
		return Key{}, err
	}
	crv, err := j.text("crv")
	if err != nil {
		return Key{}, err
	}
	x, err := j.sized("x", 32)
	if err != nil {
		return Key{}, err
	}
	switch {
	case crv == "Ed25519" && !private:
		return ed25519Public(x), nil
	case crv == "X25519" && private:
		d, err := j.sized("d", 32)
		if err != nil {
			return Key{}, err
		}
		return x25519Private(d, x)
	case crv == "Ed25519":
		return Key{}, errors.New("Ed25519 does not decrypt")
	case crv == "X25519":
		return Key{}, errors.New("X25519 does not verify")
	}
	return Key{}, errors.New("has a crv that is none of Ed25519, X25519")
}

// certificate checks that the first certificate of "x5c" holds this very key (RFC 7517 section 4.7). The chain is not
// followed: a key is trusted because its source is. So a certificate that cannot be read costs no key, and is noted; one
// that holds another key does.
func (j jwk) certificate(k Key) (note string, err error) {
	if !j.has("x5c") {
		return "", nil
	}
	first := j.members["x5c"]
	if list, ok := first.([]any); ok {
		first = list[0]
	}
	text, _ := first.(string)
	der, ok := unbase64([]byte(text))
	raw, err := readDER(der)
	if !ok || err != nil {
		return "x5c holds no certificate that can be read; the key is used without it", nil //nolint:nilerr // a note, not an error
	}
	if cert, ok := raw.(*x509.Certificate); ok {
		raw = cert.PublicKey // nil if its algorithm is not known
	}
	if raw == nil {
		return "x5c holds a certificate whose key cannot be read; the key is used without it", nil
	}
	if held, _ := publicKey(raw); held.Thumbprint != k.Thumbprint {
		return "", errors.New("x5c holds another key")
	}
	return "", nil
}
