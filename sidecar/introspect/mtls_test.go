package introspect_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/api/credential"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/sidecar/introspect"
)

// TestACertificateIsShownAtTheAlias of RFC 8705 section 5, and nowhere else, with the client_id of section 2 and no secret.
func TestACertificateIsShownAtTheAlias(t *testing.T) {
	t.Parallel()
	certificate, key := selfSigned(t, "sidecar")
	otherCA, _ := selfSigned(t, "an authority")
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		base := "https://" + r.Host
		switch r.URL.Path {
		case "/.well-known/openid-configuration":
			if len(r.TLS.PeerCertificates) > 0 {
				t.Error("the certificate was shown to who serves the metadata")
			}
			answer(w, fmt.Sprintf(`{"issuer":%[1]q,"introspection_endpoint":"%[1]s/ask","mtls_endpoint_aliases":{"introspection_endpoint":"%[1]s/mtls"}}`, base))
		case "/mtls":
			if len(r.TLS.PeerCertificates) != 1 || r.TLS.PeerCertificates[0].Subject.CommonName != "sidecar" {
				t.Errorf("showed %v", r.TLS.PeerCertificates)
			}
			if r.FormValue("client_id") != "sidecar" || r.FormValue("client_secret") != "" || r.Header.Get("Authorization") != "" {
				t.Errorf("sent %v, %q", r.Form, r.Header.Get("Authorization"))
			}
			answer(w, `{"active":true}`)
		default:
			t.Errorf("asked at %s", r.URL.Path)
		}
	}))
	other := x509.NewCertPool() // whose name is all that the server says of whom it knows
	block, _ := pem.Decode([]byte(otherCA))
	known, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	other.AddCert(known)
	server.TLS = &tls.Config{ClientAuth: tls.RequestClientCert, ClientCAs: other} //nolint:gosec // a server of the test
	server.StartTLS()
	t.Cleanup(server.Close)
	spec := policy.Issuer{Name: "corp", Issuer: server.URL, Introspection: &policy.Introspection{Discovery: &policy.Discovery{}, Auth: policy.AuthMTLS}}
	cred := credential.Credential{ClientID: "sidecar", Certificate: certificate, TLSKey: key, Rules: credential.Rules{
		CA: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})), AllowNets: loopback(),
	}}
	all, err := introspect.NewPool(introspect.Options{}).Open([]introspect.Wanted{{Issuer: spec, Credential: cred.Encode()}})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if got, err := all[0].Ask(t.Context(), client, "0paque"); err != nil || got.Body != `{"active":true}` {
			t.Fatalf("%+v, %v", got, err)
		}
	}
}

func selfSigned(t *testing.T, name string) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))
}
