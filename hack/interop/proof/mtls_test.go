package proof_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/hack/interop/idp"
)

// authority is a certificate authority of the test, whose files are in a directory.
type authority struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// issue writes a certificate, signed by the authority or, without one yet, by itself.
func (a *authority) issue(t *testing.T, name string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IsCA: a.cert == nil, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	parent, by := a.cert, a.key
	if parent == nil {
		parent, by = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, by)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})
	for file, text := range map[string][]byte{name + ".crt": certPEM, name + ".key": keyPEM} {
		if err := os.WriteFile(filepath.Join(a.dir, file), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert == nil {
		a.cert, a.key = pair.Leaf, key
	}
	return pair
}

// with returns a client that shows a certificate, over HTTP/1.1 or HTTP/2.
func (a *authority) with(pair tls.Certificate, http2 bool) *http.Client {
	roots := x509.NewCertPool()
	roots.AddCert(a.cert)
	return &http.Client{Transport: &http.Transport{
		ForceAttemptHTTP2: http2, TLSClientConfig: &tls.Config{
			RootCAs: roots, MinVersion: tls.VersionTLS12,
			GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }, // whoever is asked for
		},
	}}
}

func TestMutualTLS(t *testing.T) {
	t.Parallel()
	ca := &authority{dir: t.TempDir()}
	ca.issue(t, "ca")
	ca.issue(t, "server")
	alice, mallory := ca.issue(t, "alice"), ca.issue(t, "mallory")
	file := func(name string) string { return filepath.Join(ca.dir, name) }
	issuer := idp.Start(t, idp.Config{
		Cert: file("server.crt"), Key: file("server.key"), ClientCA: file("ca.crt"),
		Resources: map[string]idp.Resource{"urn:orders": {Scopes: []string{"orders.read"}}},
		Provider: map[string]any{
			"features": map[string]any{"mTLS": map[string]any{"enabled": true, "certificateBoundAccessTokens": true}},
			"clients": []map[string]any{{
				"client_id": "shop", "client_secret": "secret", "grant_types": []string{"client_credentials"}, "token_endpoint_auth_method": "client_secret_post",
				"response_types": []string{}, "redirect_uris": []string{}, "scope": "orders.read", "tls_client_certificate_bound_access_tokens": true,
			}},
		},
	})
	policyOf := mutualPolicy(t, issuer, file("ca.crt"))
	serve := []string{"--tls-cert", file("server.crt"), "--tls-key", file("server.key")}
	self := (&authority{dir: t.TempDir()}).issue(t, "alice")
	for name, tt := range map[string]struct {
		show tls.Certificate
		args []string
	}{
		"a certificate of an authority": {alice, append(serve[:4:4], "--tls-client-ca", file("ca.crt"))},
		"one that is self-signed":       {self, append(serve[:4:4], "--tls-request-client-cert")},
	} {
		token := ca.granted(t, issuer, tt.show)
		address := sidecar(t, policyOf, tt.args...)
		for _, http2 := range []bool{false, true} {
			for want, shown := range map[string]tls.Certificate{"": tt.show, "KeyMismatch": mallory} {
				if got := ca.ask(t, address, token, shown, http2); got != want {
					t.Errorf("%s, HTTP/2 %v: %q, want %q", name, http2, got, want)
				}
			}
		}
	}
}

// granted returns a token that the provider has bound to the certificate.
func (a *authority) granted(t *testing.T, issuer string, show tls.Certificate) string {
	t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "resource": {"urn:orders"}, "scope": {"orders.read"}, "client_id": {"shop"}, "client_secret": {"secret"}}
	res, err := a.with(show, false).PostForm(issuer+"/token", form)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var granted struct {
		AccessToken string `json:"access_token"`
	}
	err = json.NewDecoder(res.Body).Decode(&granted)
	if err != nil || strings.Count(granted.AccessToken, ".") != 2 {
		t.Fatalf("%d %v", res.StatusCode, err)
	}
	return granted.AccessToken
}

// ask returns the reason of a refusal; empty: the app has answered.
func (a *authority) ask(t *testing.T, address, token string, show tls.Certificate, http2 bool) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+address+"/orders/1", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	res, err := a.with(show, http2).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if (res.ProtoMajor == 2) != http2 {
		t.Errorf("HTTP/%d", res.ProtoMajor)
	}
	var problem struct {
		Reason string `json:"reason"`
	}
	if res.StatusCode == http.StatusOK {
		return ""
	}
	_ = json.NewDecoder(res.Body).Decode(&problem)
	return problem.Reason
}

// mutualPolicy takes tokens that are bound to certificates.
func mutualPolicy(t *testing.T, issuer, caFile string) func(string) string {
	t.Helper()
	trusted, err := os.ReadFile(caFile)
	if err != nil {
		t.Fatal(err)
	}
	return func(string) string {
		return `apiVersion: v1
kind: Secret
metadata: {name: ca}
stringData:
  ca.crt: |
    ` + strings.ReplaceAll(strings.TrimSpace(string(trusted)), "\n", "\n    ") + `
---
apiVersion: bearerguard.dev/v1alpha1
kind: AuthPolicy
metadata: {name: orders}
spec:
  issuers:
  - name: idp
    issuer: ` + issuer + `
    audiences: ["urn:orders"]
    keys: {jwksURL: "` + issuer + `/jwks"}
    caSecretRef: {name: ca, key: ca.crt}
    proof: {mtls: Required}
  rules:
  - name: read
    allow: {scopes: [orders.read]}
`
	}
}
