package certs

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
)

// issued is a certificate with its key and its authority, all PEM.
type issued struct{ cert, key, ca []byte }

// issue makes an authority and a certificate.
func issue(t *testing.T, names ...string) issued {
	t.Helper()
	now := time.Now()
	newKey := func() (*ecdsa.PrivateKey, []byte) {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		der, err := x509.MarshalPKCS8PrivateKey(k)
		if err != nil {
			t.Fatal(err)
		}
		return k, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	}
	caKey, _ := newKey()
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"}, NotBefore: now.Add(-time.Hour),
		NotAfter: now.Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	leafKey, leafPEM := newKey()
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "leaf"}, NotBefore: ca.NotBefore,
		NotAfter: ca.NotAfter, DNSNames: names, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	sign := func(template *x509.Certificate, public any) []byte {
		der, err := x509.CreateCertificate(rand.Reader, template, ca, public, caKey)
		if err != nil {
			t.Fatal(err)
		}
		return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	}
	return issued{cert: sign(leaf, leafKey.Public()), key: leafPEM, ca: sign(ca, caKey.Public())}
}

func TestStoreKeepsTheLastGoodCertificate(t *testing.T) {
	t.Parallel()
	good, other := issue(t, "a.test"), issue(t, "a.test")
	s := newStore()
	if _, err := s.certificate(nil); err == nil || s.authority() != nil {
		t.Error("an empty store serves something")
	}
	if err := s.load(good.cert, good.key, good.ca); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		issued
		want string
	}{
		"no certificate":                {issued{nil, good.key, good.ca}, "tls.crt and tls.key: "},
		"the key of another":            {issued{good.cert, other.key, good.ca}, "tls.crt and tls.key: "},
		"the authority of another":      {issued{good.cert, good.key, other.ca}, "tls.crt is not signed by ca.crt: "},
		"an authority that is garbage":  {issued{good.cert, good.key, []byte("x")}, "ca.crt: holds no PEM certificate"},
		"a certificate that is garbage": {issued{[]byte("x"), good.key, good.ca}, "tls.crt and tls.key: "},
	} {
		err := s.load(tc.cert, tc.key, tc.ca)
		if err == nil || !strings.HasPrefix(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %s", name, err, tc.want)
		}
		if err != nil && strings.Contains(err.Error(), "PRIVATE") {
			t.Errorf("%s: the error quotes a key", name)
		}
		if !bytes.Equal(s.authority(), good.ca) {
			t.Errorf("%s: replaced the last good authority", name)
		}
	}
	if err := s.load(other.cert, other.key, other.ca); err != nil || !bytes.Equal(s.authority(), other.ca) {
		t.Errorf("a new certificate is not taken: %v", err)
	}
}

func TestStoreTellsOfChangesOnly(t *testing.T) {
	t.Parallel()
	s, good := newStore(), issue(t, "a.test")
	changed := s.subscribe()
	for range 2 {
		if err := s.load(good.cert, good.key, good.ca); err != nil {
			t.Fatal(err)
		}
	}
	<-changed
	select {
	case <-changed:
		t.Error("told twice of one certificate")
	default:
	}
}

func TestCovers(t *testing.T) {
	t.Parallel()
	both := issue(t, "a.test", "b.test").cert
	for name, tc := range map[string]struct {
		cert  []byte
		names []string
		want  bool
	}{
		"all names":    {both, []string{"a.test", "b.test"}, true},
		"one is wrong": {both, []string{"a.test", "c.test"}, false},
		"no PEM":       {[]byte("x"), []string{"a.test"}, false},
		"no DER":       {pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}), []string{"a.test"}, false},
	} {
		if got := covers(tc.cert, tc.names); got != tc.want {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}

func TestFilesAreReadAgain(t *testing.T) {
	t.Parallel()
	dir, first, second := t.TempDir(), issue(t, "a.test"), issue(t, "a.test")
	write := func(t *testing.T, i issued) {
		for name, data := range map[string][]byte{certEntry: i.cert, keyEntry: i.key, caEntry: i.ca} {
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		go readFiles(t.Context(), Config{Dir: dir, Log: logr.Discard()}, s, func(string) {})
		time.Sleep(readEvery + time.Second)
		if s.authority() != nil {
			t.Error("no files, but something is served")
		}
		for _, i := range []issued{first, second} {
			write(t, i)
			time.Sleep(readEvery)
			if !bytes.Equal(s.authority(), i.ca) {
				t.Error("the files are not read again")
			}
		}
		write(t, issued{cert: first.cert, key: second.key, ca: first.ca})
		time.Sleep(readEvery)
		if !bytes.Equal(s.authority(), second.ca) {
			t.Error("files that do not fit together replaced the last good certificate")
		}
	})
}
