package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"time"
)

const (
	// early is how long before it is made a certificate begins to hold, for clocks that are slow.
	early       = time.Hour
	authorities = 3 * 365 * 24 * time.Hour // how long an authority lives
	leaves      = 90 * 24 * time.Hour      // how long a serving certificate lives
)

// signer is an authority, parsed.
type signer struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// parse checks that the authority can sign.
func (a authority) parse() (signer, error) {
	pair, err := tls.X509KeyPair(a.cert, a.key)
	if err != nil {
		return signer{}, err
	}
	key, ok := pair.PrivateKey.(crypto.Signer)
	if !ok || !pair.Leaf.IsCA {
		return signer{}, errors.New("is no certificate authority")
	}
	return signer{cert: pair.Leaf, key: key}, nil
}

// newAuthority makes an authority that signs itself.
func newAuthority(now time.Time) (authority, error) {
	template := &x509.Certificate{
		// Two authorities of one name would be taken for one by who looks for an issuer by its name.
		Subject:   pkix.Name{CommonName: "bearerguard-ca " + now.UTC().Format(time.RFC3339), Organization: []string{"bearerguard"}},
		NotBefore: now.Add(-early), NotAfter: now.Add(authorities),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	cert, key, err := sign(template, nil)
	return authority{cert: cert, key: key}, err
}

// newLeaf makes a serving certificate for names. It does not outlive the authority.
func newLeaf(a authority, now time.Time, names []string) (cert, key []byte, err error) {
	by, err := a.parse()
	if err != nil {
		return nil, nil, fmt.Errorf("certificate authority: %w", err)
	}
	end := now.Add(leaves)
	if end.After(by.cert.NotAfter) {
		end = by.cert.NotAfter
	}
	return sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: names[0], Organization: []string{"bearerguard"}}, DNSNames: names,
		NotBefore: now.Add(-early), NotAfter: end,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}, &by)
}

// sign makes a key and a certificate for it, signed by another's key, or without one by its own.
func sign(template *x509.Certificate, by *signer) (certPEM, keyPEM []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	if template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127)); err != nil {
		return nil, nil, err
	}
	if by == nil {
		by = &signer{cert: template, key: key}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by.cert, key.Public(), by.key)
	if err != nil {
		return nil, nil, err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), nil
}
