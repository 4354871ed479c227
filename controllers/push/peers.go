package push

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
)

// Peers is how replicas of one controller know each other: by the certificate that they serve with.
type Peers struct {
	// Own is this replica's serving certificate, newest at each call. Required.
	Own func() (*tls.Certificate, error)
	// Known returns an error unless a chain is the certificate of another replica, which during a rotation is not Own's.
	// Default: only Own's is known.
	Known func(chain []*x509.Certificate) error
}

var errStranger = errors.New("the other end is no replica of this controller: it has another certificate")

// check returns an error unless the other end of a connection is a replica; the handshake has proved that it holds the
// private key.
func (p Peers) check(state tls.ConnectionState) error {
	own, err := p.Own()
	if err != nil || own == nil || len(own.Certificate) == 0 || len(state.PeerCertificates) == 0 {
		return errStranger
	}
	if bytes.Equal(own.Certificate[0], state.PeerCertificates[0].Raw) {
		return nil
	}
	if p.Known == nil || p.Known(state.PeerCertificates) != nil {
		return errStranger
	}
	return nil
}

// client is the TLS configuration for calling another replica.
func (p Peers) client() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		// It is called by its address, which its certificate does not name: VerifyConnection says whose it must be.
		InsecureSkipVerify:   true, //nolint:gosec // see VerifyConnection
		VerifyConnection:     p.check,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return p.Own() },
	}
}
