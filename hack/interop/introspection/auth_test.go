package introspection

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
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

// pair is a private key, and perhaps a certificate, as PEM and as what they are.
type pair struct {
	key        crypto.Signer
	cert       *x509.Certificate
	certPEM    string
	privatePEM string
}

func keyed(t *testing.T, key crypto.Signer, err error) pair {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pair{key: key, privatePEM: string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))}
}

// certified returns a certificate of a name, signed by an authority; by itself where there is none.
func certified(t *testing.T, name string, by *pair) pair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	p := keyed(t, key, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		IsCA: by == nil, BasicConstraintsValid: true,
	}
	parent, signer := template, crypto.Signer(key)
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	if p.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	p.certPEM = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return p
}

// jwk is the public key (RFC 7517), with the certificate if there is one.
func (p pair) jwk(kid string) map[string]any {
	number := func(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
	var k map[string]any
	switch public := p.key.Public().(type) {
	case *ecdsa.PublicKey:
		point, err := public.Bytes()
		if err != nil {
			panic(err)
		}
		half := len(point) / 2
		k = map[string]any{"kty": "EC", "crv": public.Params().Name, "x": number(point[1 : 1+half]), "y": number(point[1+half:])}
	case *rsa.PublicKey:
		k = map[string]any{"kty": "RSA", "n": number(public.N.Bytes()), "e": "AQAB"}
	case ed25519.PublicKey:
		k = map[string]any{"kty": "OKP", "crv": "Ed25519", "x": number(public)}
	}
	k["kid"], k["use"] = kid, "sig"
	if p.cert != nil {
		k["x5c"] = []string{base64.StdEncoding.EncodeToString(p.cert.Raw)}
	}
	return k
}

// shown is a way to show an endpoint who asks.
type shown struct {
	auth   string
	client map[string]any // how the provider knows the client
	good   map[string]string
	bad    map[string]string // entries of the Secret of somebody else
}

// ways are all methods of auth, against what oidc-provider has for each (RFC 6749 section 2.3.1, RFC 7523, RFC 8705 sections 2.1 and 2.2).
func ways(t *testing.T, ca pair) map[string]shown {
	t.Helper()
	out := map[string]shown{}
	secret := map[string]string{"client_secret": password}
	wrong := map[string]string{"client_secret": "another"}
	out["basic"] = shown{"Basic", map[string]any{"token_endpoint_auth_method": "client_secret_basic"}, secret, wrong}
	out["post"] = shown{"Post", map[string]any{"token_endpoint_auth_method": "client_secret_post"}, secret, wrong}
	ec, ecErr := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	rs, rsErr := rsa.GenerateKey(rand.Reader, 2048)
	_, ed, edErr := ed25519.GenerateKey(rand.Reader)
	for alg, p := range map[string]pair{"ES256": keyed(t, ec, ecErr), "RS256": keyed(t, rs, rsErr), "EdDSA": keyed(t, ed, edErr)} {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		other := keyed(t, key, err)
		out["assertion-"+strings.ToLower(alg)] = shown{"PrivateKeyJWT",
			map[string]any{"token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_signing_alg": alg, "jwks": map[string]any{"keys": []any{p.jwk("k1")}}},
			map[string]string{"private_key": p.privatePEM, "key_id": "k1"}, map[string]string{"private_key": other.privatePEM, "key_id": "k1"}}
	}
	entries := func(p pair) map[string]string {
		return map[string]string{"tls.crt": p.certPEM, "tls.key": p.privatePEM}
	}
	out["certificate"] = shown{"MTLS", map[string]any{"token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_san_dns": "sidecar.shop"},
		entries(certified(t, "sidecar.shop", &ca)), entries(certified(t, "other.shop", &ca))}
	out["certificate-of-nobody"] = shown{"MTLS", map[string]any{"token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_san_dns": "sidecar.shop"},
		entries(certified(t, "sidecar.shop", &ca)), entries(certified(t, "sidecar.shop", nil))}
	own := certified(t, "sidecar", nil)
	out["self-signed"] = shown{"MTLS", map[string]any{"token_endpoint_auth_method": "self_signed_tls_client_auth", "jwks": map[string]any{"keys": []any{own.jwk("k1")}}},
		entries(own), entries(certified(t, "sidecar", nil))}
	return out
}

// TestEachMethodOfAuthentication is taken by oidc-provider, over TLS, from a real sidecar; and where the credential is somebody else's
// nobody is let in, and no client is told that its token is bad.
func TestEachMethodOfAuthentication(t *testing.T) {
	t.Parallel()
	ca := certified(t, "an authority", nil)
	server := certified(t, "localhost", &ca)
	dir := t.TempDir()
	for name, text := range map[string]string{"ca.crt": ca.certPEM, "tls.crt": server.certPEM, "tls.key": server.privatePEM} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	all := ways(t, ca)
	clients := []map[string]any{client("shop", map[string]any{"grant_types": []string{"client_credentials"}, "scope": "orders.read"})}
	for id, w := range all {
		c := client(id, w.client)
		if c["grant_types"] = []string{}; w.auth != "Basic" && w.auth != "Post" {
			delete(c, "client_secret")
		}
		clients = append(clients, c)
	}
	issuer := idp.Start(t, idp.Config{
		Cert: filepath.Join(dir, "tls.crt"), Key: filepath.Join(dir, "tls.key"), ClientCA: filepath.Join(dir, "ca.crt"),
		Resources: map[string]idp.Resource{"urn:orders": {Scopes: []string{"orders.read"}, Format: "opaque"}},
		Provider: map[string]any{
			"clients":           clients,
			"clientAuthMethods": []string{"client_secret_basic", "client_secret_post", "private_key_jwt", "tls_client_auth", "self_signed_tls_client_auth"},
			"enabledJWA":        map[string]any{"clientAuthSigningAlgValues": []string{"RS256", "ES256", "EdDSA"}},
			"features": map[string]any{
				"introspection": map[string]any{"enabled": true},
				"mTLS":          map[string]any{"enabled": true, "tlsClientAuth": true, "selfSignedTlsClientAuth": true},
			},
		},
	})
	roots := x509.NewCertPool()
	roots.AddCert(ca.cert)
	trusting := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}}
	token := grant(t, trusting, issuer+"/token", "shop", url.Values{"resource": {"urn:orders"}})
	for id, w := range all {
		t.Run(id, func(t *testing.T) {
			t.Parallel()
			at := sidecar(t, asking(issuer, id, w.auth, ca.certPEM, w.good))
			if got := get(t, at, token); got != http.StatusOK {
				t.Errorf("with the credential: %d", got)
			}
			if got := get(t, at, "made-up"); got != http.StatusUnauthorized {
				t.Errorf("a made-up token: %d", got)
			}
			at = sidecar(t, asking(issuer, id, w.auth, ca.certPEM, w.bad))
			if got := get(t, at, token); got != http.StatusServiceUnavailable {
				t.Errorf("with somebody else's: %d", got)
			}
		})
	}
}

// asking are rules for a sidecar that shows entries of a Secret.
func asking(issuer, id, auth, ca string, entries map[string]string) string {
	var text strings.Builder
	fmt.Fprintf(&text, `apiVersion: bearerguard.dev/v1alpha1
kind: AuthPolicy
metadata: {name: orders}
spec:
  issuers:
  - name: corp
    issuer: %q
    audiences: ["urn:orders"]
    caSecretRef: {name: ca, key: ca.crt}
    introspection: {discovery: {}, auth: %s, credentialsSecretRef: {name: introspection}}
  rules: [{name: read, allow: {scopes: [orders.read]}}]
---
apiVersion: v1
kind: Secret
metadata: {name: ca}
stringData: {ca.crt: %q}
---
apiVersion: v1
kind: Secret
metadata: {name: introspection}
stringData:
  client_id: %s
`, issuer, auth, ca, id)
	for name, value := range entries {
		fmt.Fprintf(&text, "  %s: %q\n", name, value)
	}
	return text.String()
}
