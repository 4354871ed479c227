package keyset

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// pem reads every block: public keys, certificates, private keys. PEM has no kid, so these keys have none.
func (c *collector) pem(data []byte, use Use) error {
	var certs []*x509.Certificate
	for n := 1; len(bytes.TrimSpace(data)) > 0; n++ {
		block, rest := pem.Decode(data)
		if block == nil {
			if bytes.Contains(data, []byte("-----BEGIN")) {
				return fmt.Errorf("PEM block %d is garbled", n)
			}
			break
		}
		if n > MaxKeys {
			return fmt.Errorf("has more than %d PEM blocks", MaxKeys)
		}
		data = rest
		name := fmt.Sprintf("PEM block %d", n)
		if block.Type == "CERTIFICATE" {
			cert, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				c.add(name, Key{}, errors.New("is not an X.509 certificate"))
				continue
			}
			certs = append(certs, cert)
			continue
		}
		if block.Type == "EC PARAMETERS" { // openssl writes it before the key; the key names its curve too
			continue
		}
		k, err := pemKey(block, use)
		c.add(name, k, err)
	}
	c.certificates(certs, use)
	return nil
}

// certificates takes the keys of certificates that did not sign another one of the file: of a chain, the leaf. The
// keys of the authorities above it sign certificates, not tokens.
func (c *collector) certificates(certs []*x509.Certificate, use Use) {
	for i, cert := range certs {
		name := fmt.Sprintf("certificate %d", i+1)
		authority := false
		for j, other := range certs {
			authority = authority || i != j && other.CheckSignatureFrom(cert) == nil
		}
		switch {
		case authority:
			c.add(name, Key{}, errors.New("signed another certificate of the file; only the leaf's key verifies tokens"))
		case use == Decrypt:
			c.add(name, Key{}, errors.New("holds a public key; decryption needs the private one"))
		default:
			k, err := publicKey(cert.PublicKey)
			c.add(name, k, err)
		}
	}
}

func pemKey(block *pem.Block, use Use) (Key, error) {
	parse, ok := pemParsers()[block.Type]
	if !ok {
		return Key{}, errors.New("is none of PUBLIC KEY, CERTIFICATE, PRIVATE KEY, RSA or EC PRIVATE KEY, RSA PUBLIC KEY")
	}
	raw, err := parse(block.Bytes)
	if err != nil {
		return Key{}, fmt.Errorf("does not hold what its label says, or is encrypted")
	}
	private := isPrivate(raw)
	switch {
	case use == Public && private:
		return Key{}, errors.New("is a private key in a place for public keys")
	case use == Decrypt && !private:
		return Key{}, errors.New("is a public key; decryption needs the private one")
	case use == Decrypt:
		return privateKey(raw)
	}
	return publicKey(raw)
}

func pemParsers() map[string]func([]byte) (any, error) {
	return map[string]func([]byte) (any, error){
		"PUBLIC KEY":      x509.ParsePKIXPublicKey,
		"PRIVATE KEY":     x509.ParsePKCS8PrivateKey,
		"RSA PUBLIC KEY":  func(b []byte) (any, error) { return x509.ParsePKCS1PublicKey(b) },
		"RSA PRIVATE KEY": func(b []byte) (any, error) { return x509.ParsePKCS1PrivateKey(b) },
		"EC PRIVATE KEY":  func(b []byte) (any, error) { return x509.ParseECPrivateKey(b) },
	}
}

func isPrivate(raw any) bool {
	switch raw.(type) {
	case *rsa.PrivateKey, *ecdsa.PrivateKey, ed25519.PrivateKey, *ecdh.PrivateKey:
		return true
	}
	return false
}

// publicKey vets a parsed public key, or the public half of a private one, for verification.
func publicKey(raw any) (Key, error) {
	switch p := raw.(type) {
	case *rsa.PublicKey:
		return rsaPublic(p)
	case *rsa.PrivateKey:
		return rsaPublic(&p.PublicKey)
	case *ecdsa.PublicKey:
		c, point, err := onCurve(p)
		if err != nil {
			return Key{}, err
		}
		return ecPublic(c, point)
	case *ecdsa.PrivateKey:
		return publicKey(&p.PublicKey)
	case ed25519.PublicKey:
		return ed25519Public(p), nil
	case ed25519.PrivateKey:
		return ed25519Public(p[ed25519.SeedSize:]), nil
	}
	return Key{}, errors.New("is of a type that does not verify")
}

// privateKey vets a parsed private key for decryption.
func privateKey(raw any) (Key, error) {
	switch p := raw.(type) {
	case *rsa.PrivateKey:
		return rsaPrivate(p)
	case *ecdsa.PrivateKey:
		c, point, err := onCurve(&p.PublicKey)
		if err != nil {
			return Key{}, err
		}
		k, err := ecPublic(c, point)
		if err != nil {
			return k, err
		}
		d, err := p.Bytes()
		if err != nil {
			return k, errors.New("has a private part that is not valid")
		}
		return ecPrivate(k, c, d)
	case *ecdh.PrivateKey:
		return x25519Private(p.Bytes(), nil)
	}
	return Key{}, errors.New("is of a type that does not decrypt")
}

// onCurve finds the curve of a key that crypto/x509 parsed, and its uncompressed point.
func onCurve(p *ecdsa.PublicKey) (curve, []byte, error) {
	for _, c := range curves() {
		if c.curve == p.Curve {
			point, err := p.Bytes()
			if err != nil {
				return c, nil, errors.New("is not a point on its curve")
			}
			return c, point, nil
		}
	}
	return curve{}, nil, errors.New("is on a curve that is none of P-256, P-384, P-521")
}
