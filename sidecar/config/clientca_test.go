package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"path/filepath"
	"testing"
	"time"
)

// authority writes the certificate of a new authority and returns a client's, which it has signed.
func authority(t *testing.T, path string, stamp time.Time) tls.Certificate {
	t.Helper()
	sign := func(template, parent *x509.Certificate, by *ecdsa.PrivateKey) ([]byte, *ecdsa.PrivateKey) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if by == nil {
			by = key
		}
		template.SerialNumber = big.NewInt(time.Now().UnixNano())
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
		der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, by)
		if err != nil {
			t.Fatal(err)
		}
		return der, key
	}
	ca := &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, key := sign(ca, ca, nil)
	put(t, path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), stamp)
	parent, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	leaf, own := sign(&x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, parent, key)
	return tls.Certificate{Certificate: [][]byte{leaf}, PrivateKey: own}
}

// shake makes a connection, on which a byte is sent so that the client gets a ticket. It returns what the server says of
// it, and whether an earlier session was resumed.
func shake(t *testing.T, server, client *tls.Config) (resumed bool, err error) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	far, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	near, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer near.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer far.Close()
		_, _ = io.Copy(io.Discard, tls.Client(far, client))
	}()
	defer func() { _ = near.Close(); <-done }()
	s := tls.Server(near, server)
	if _, err := s.Write([]byte{1}); err != nil {
		return false, err
	}
	resumed = s.ConnectionState().DidResume
	return resumed, s.Close()
}

// Once the file of the authority changes, who has a certificate of the old one is refused, whether he shows it or resumes
// a session in which he did.
func TestTLSFollowsItsClientAuthority(t *testing.T) {
	t.Parallel()
	for name, version := range map[string]uint16{"TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, now := t.TempDir(), time.Now()
			files := TLS{Cert: filepath.Join(dir, "tls.crt"), Key: filepath.Join(dir, "tls.key"), ClientCA: filepath.Join(dir, "ca.crt")}
			pair(t, files, "one.test", now)
			old := authority(t, files.ClientCA, now)
			first, err := files.read()
			if err != nil {
				t.Fatal(err)
			}
			at := now
			w := &watched{files: files, problem: func(err error) { t.Error(err) }, current: first, stamp: files.stamp(), looked: now}
			server := &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
				return w.get(at), nil
			}}
			client := func(cert tls.Certificate) *tls.Config {
				return &tls.Config{
					InsecureSkipVerify: true, MinVersion: version, MaxVersion: version, ServerName: "one.test", //nolint:gosec // a test
					GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cert, nil },
					ClientSessionCache:   tls.NewLRUClientSessionCache(1),
				}
			}
			known := client(old)
			for _, want := range []bool{false, true} {
				if resumed, err := shake(t, server, known); err != nil || resumed != want {
					t.Errorf("before: %v, resumed %v, want %v", err, resumed, want)
				}
			}
			at = now.Add(time.Minute)
			renewed := authority(t, files.ClientCA, at)
			if _, err := shake(t, server, known); err == nil {
				t.Error("a session of the old authority goes on")
			}
			var unknown *tls.CertificateVerificationError
			if _, err := shake(t, server, client(old)); !errors.As(err, &unknown) {
				t.Errorf("a certificate of the old authority: %v", err)
			}
			if _, err := shake(t, server, client(tls.Certificate{})); err == nil {
				t.Error("no certificate is enough")
			}
			if _, err := shake(t, server, client(renewed)); err != nil {
				t.Errorf("a certificate of the new authority: %v", err)
			}
		})
	}
}

// Any certificate is taken where no authority is named, and none is.
func TestTLSTakesAnyClientCertificate(t *testing.T) {
	t.Parallel()
	dir, now := t.TempDir(), time.Now()
	files := TLS{Cert: filepath.Join(dir, "tls.crt"), Key: filepath.Join(dir, "tls.key"), RequestClientCert: true}
	pair(t, files, "one.test", now)
	server, err := files.Server(func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	asked := false
	for name, cert := range map[string]tls.Certificate{"one of nobody's": authority(t, filepath.Join(dir, "ca.crt"), now), "none": {}} {
		_, err := shake(t, server, &tls.Config{
			InsecureSkipVerify: true, ServerName: "one.test", //nolint:gosec // a test
			GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { asked = true; return &cert, nil },
		})
		if err != nil || !asked {
			t.Errorf("%s: %v, asked for %v", name, err, asked)
		}
		asked = false
	}
}
