package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// pair writes a self-signed certificate for a name, and its key, with a time stamp.
func pair(t *testing.T, files TLS, name string, stamp time.Time) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{name},
		NotBefore: stamp.Add(-time.Hour), NotAfter: stamp.Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	put(t, files.Cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), stamp)
	put(t, files.Key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}), stamp)
}

func put(t *testing.T, path string, data []byte, stamp time.Time) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, stamp, stamp); err != nil {
		t.Fatal(err)
	}
}

// served is the name in the certificate that a client would get.
func served(t *testing.T, c *tls.Config) string {
	t.Helper()
	got, err := c.GetConfigForClient(&tls.ClientHelloInfo{})
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(got.Certificates[0].Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	return leaf.DNSNames[0]
}

func TestTLSFollowsItsFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		files := TLS{Cert: filepath.Join(dir, "tls.crt"), Key: filepath.Join(dir, "tls.key")}
		pair(t, files, "one.test", time.Now())
		var problems []error
		c, err := files.Server(func(err error) { problems = append(problems, err) })
		if err != nil {
			t.Fatal(err)
		}
		if got := served(t, c); got != "one.test" {
			t.Errorf("certificate of %s at first", got)
		}
		time.Sleep(time.Minute)
		pair(t, files, "two.test", time.Now())
		if got := served(t, c); got != "two.test" {
			t.Errorf("certificate of %s after a renewal, want two.test", got)
		}
		time.Sleep(time.Minute)
		put(t, files.Key, []byte("canary"), time.Now())
		if got := served(t, c); got != "two.test" || len(problems) != 1 {
			t.Errorf("certificate of %s and problems %v while the key is broken; want two.test and one", got, problems)
		}
		time.Sleep(time.Minute)
		pair(t, files, "three.test", time.Now())
		if got := served(t, c); got != "three.test" {
			t.Errorf("certificate of %s after it is mended, want three.test", got)
		}
	})
}

func TestTLSRefusesBrokenFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	files := TLS{Cert: filepath.Join(dir, "tls.crt"), Key: filepath.Join(dir, "tls.key")}
	if _, err := files.Server(nil); err == nil || !strings.Contains(err.Error(), "--tls-cert, --tls-key: ") {
		t.Errorf("without files: error %v", err)
	}
	pair(t, files, "one.test", time.Now())
	files.ClientCA = filepath.Join(dir, "ca.crt")
	put(t, files.ClientCA, []byte("junk"), time.Now())
	if _, err := files.Server(nil); err == nil || !strings.Contains(err.Error(), "has no PEM certificate") {
		t.Errorf("with a CA of junk: error %v", err)
	}
	if c, err := (TLS{}).Server(nil); c != nil || err != nil {
		t.Errorf("without TLS: %v, %v; want neither", c, err)
	}
}
