package certs

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
)

// material is a certificate that has been checked, with all authorities that are to be trusted.
type material struct {
	cert                tls.Certificate
	certPEM, keyPEM, ca []byte
}

// store holds what is served now. It is safe for concurrent use.
type store struct {
	now    atomic.Pointer[material]
	loaded chan struct{} // closed after the first

	mu   sync.Mutex
	told []chan struct{} // guarded by mu; size 1 each; told after each change
}

func newStore() *store { return &store{loaded: make(chan struct{})} }

// subscribe returns a channel that is told after each change from now on.
func (s *store) subscribe() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := make(chan struct{}, 1)
	s.told = append(s.told, c)
	return c
}

// load takes a certificate, its key and the authorities to be trusted, all PEM. What does not fit together is an error, and what was
// served before stays.
func (s *store) load(certPEM, keyPEM, ca []byte) error {
	old := s.now.Load()
	if old != nil && bytes.Equal(old.certPEM, certPEM) && bytes.Equal(old.keyPEM, keyPEM) && bytes.Equal(old.ca, ca) {
		return nil
	}
	cert, err := check(certPEM, keyPEM, ca)
	if err != nil {
		return err
	}
	s.now.Store(&material{cert: cert, certPEM: bytes.Clone(certPEM), keyPEM: bytes.Clone(keyPEM), ca: bytes.Clone(ca)})
	if old == nil {
		close(s.loaded)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.told {
		signal(c)
	}
	return nil
}

// check returns the certificate if the key fits it and the authority has signed it. Whether it is still valid today is
// for the clients to say.
func check(certPEM, keyPEM, ca []byte) (tls.Certificate, error) {
	cert, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("tls.crt and tls.key: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return tls.Certificate{}, errors.New("ca.crt: holds no PEM certificate")
	}
	between := x509.NewCertPool()
	for _, der := range cert.Certificate[1:] {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return tls.Certificate{}, fmt.Errorf("tls.crt: %w", err)
		}
		between.AddCert(c)
	}
	_, err = cert.Leaf.Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: between, CurrentTime: cert.Leaf.NotBefore, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("tls.crt is not signed by ca.crt: %w", err)
	}
	return cert, nil
}

// authority returns the PEM of the authority, or nil.
func (s *store) authority() []byte {
	m := s.now.Load()
	if m == nil {
		return nil
	}
	return m.ca
}

// certificate is a tls.Config's GetCertificate.
func (s *store) certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	m := s.now.Load()
	if m == nil {
		return nil, errors.New("there is no serving certificate yet")
	}
	return &m.cert, nil
}
