package keyset

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
)

// hasPEM reports whether a PEM block begins anywhere in the text.
func hasPEM(text []byte) bool { return bytes.Contains(text, []byte(begin)) }

const begin, end, dashes = "-----BEGIN ", "-----END ", "-----"

// pem reads every block: public keys, certificates, private keys. PEM has no kid, so these keys have none. What stands
// around the blocks is not looked at.
func (c *collector) pem(text []byte, use Use) {
	var certs []*x509.Certificate
	for n, section := range bytes.Split(text, []byte(begin)) {
		if n == 0 { // what stands before the first
			continue
		}
		if c.full(len(certs)) {
			c.note(fmt.Sprintf("has more than %d PEM blocks; the first %d are kept", MaxKeys, MaxKeys))
			break
		}
		name := fmt.Sprintf("PEM block %d", n)
		label, der, err := pemBlock(section)
		if label == "EC PARAMETERS" { // openssl writes it before the key; the key names its curve too
			continue
		}
		var raw any
		if err == nil {
			raw, err = readDER(der)
		}
		if cert, ok := raw.(*x509.Certificate); ok {
			certs = append(certs, cert)
			continue
		}
		var k Key
		if err == nil {
			k, err = keyOf(raw, use)
		}
		c.add(name, k, err)
	}
	c.certificates(certs, use)
}

// pemBlock reads the label and the content of a block, from behind its "-----BEGIN ". Line breaks may have become white
// space, or the two characters that stand for one in JSON.
func pemBlock(section []byte) (label string, der []byte, err error) {
	name, body, ok := bytes.Cut(section, []byte(dashes))
	body, _, closed := bytes.Cut(body, []byte(end+string(name)+dashes))
	if !ok || !closed {
		return "", nil, errors.New("is garbled")
	}
	label = string(name)
	switch label {
	case "PUBLIC KEY", "CERTIFICATE", "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "RSA PUBLIC KEY", "X509 CERTIFICATE", "EC PARAMETERS":
	case "ENCRYPTED PRIVATE KEY":
		return label, nil, errors.New("is encrypted; want it without a password")
	case "OPENSSH PRIVATE KEY":
		return label, nil, errors.New("is in OpenSSH's form; ssh-keygen -p -m PKCS8 -f FILE rewrites it")
	default:
		return label, nil, errors.New("is none of PUBLIC KEY, CERTIFICATE, PRIVATE KEY, RSA or EC PRIVATE KEY, RSA PUBLIC KEY")
	}
	body = bytes.ReplaceAll(body, []byte(`\n`), []byte("\n"))
	body = bytes.ReplaceAll(body, []byte(`\r`), nil)
	var content []byte
	for line := range bytes.Lines(body) {
		switch {
		case !bytes.Contains(line, []byte(":")):
			content = append(content, line...)
		case bytes.Contains(line, []byte("ENCRYPTED")): // RFC 1421 section 4.6.1.1
			return label, nil, errors.New("is encrypted; want it without a password")
		}
	}
	if der, ok = unbase64(content); !ok {
		return label, nil, errors.New("is garbled")
	}
	return label, der, nil
}

// certificates takes the keys of certificates that did not sign another one of the file: of a chain, the leaf. The
// keys of the authorities above it sign certificates, not tokens.
func (c *collector) certificates(certs []*x509.Certificate, use Use) {
	checks := 10 * MaxKeys // signatures cost time; certificates of a chain name each other, and others need none
	for i, cert := range certs {
		name := fmt.Sprintf("certificate %d", i+1)
		authority := false
		for j, other := range certs {
			if i == j || authority || !bytes.Equal(cert.RawSubject, other.RawIssuer) {
				continue
			}
			checks--
			authority = checks < 0 || other.CheckSignatureFrom(cert) == nil
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

// keyOf takes what is wanted of a parsed key.
func keyOf(raw any, use Use) (Key, error) {
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
