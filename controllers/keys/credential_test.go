package keys_test

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/credential"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/controllers/keys"
)

// TestCredentialsAreResolved: from two Secrets, with the cause of what is missing, and the last good one stays.
func TestCredentialsAreResolved(t *testing.T) {
	t.Parallel()
	b := start(t)
	is := policy.Issuer{
		Name: "corp", Issuer: "https://corp", CASecretRef: &policy.KeyRef{Name: "ca", Key: "ca.crt"},
		Introspection: &policy.Introspection{URL: "https://corp/i", CredentialsSecretRef: policy.SecretRef{Name: "sidecar"}},
	}
	b.want("shop", is)
	id := bundle.IntrospectionID("shop", is)
	failing := func(text string) func(keys.State) bool {
		return func(s keys.State) bool { return s.Err != nil && strings.Contains(s.Err.Error(), text) }
	}
	b.until(t, "shop", id, "without any Secret", failing("does not exist in namespace shop"))
	b.objects.change(func() { b.objects.secrets["shop/sidecar"] = map[string][]byte{"client_id": []byte("x\n")} })
	b.until(t, "shop", id, "without the authority", failing("caSecretRef: Secret ca does not exist"))
	b.objects.change(func() { b.objects.secrets["shop/ca"] = map[string][]byte{"ca.crt": []byte("no PEM")} })
	b.until(t, "shop", id, "with an authority that is none", failing(`caSecretRef: Secret ca: entry "ca.crt" holds no PEM certificate`))
	authority := certificate(t)
	b.objects.change(func() { b.objects.secrets["shop/ca"] = map[string][]byte{"ca.crt": authority} })
	b.until(t, "shop", id, "without the secret's entry", failing(`Secret sidecar has no entry "client_secret"`))
	b.objects.change(func() { b.objects.secrets["shop/sidecar"]["client_secret"] = []byte("s3cret") })
	good := func(s keys.State) bool { return s.Err == nil && s.Keys == 1 }
	c, err := credential.Decode(b.until(t, "shop", id, "complete", good).Set.JWKS)
	if err != nil || c.ClientID != "x" || c.ClientSecret != "s3cret" || c.CA != string(authority) || !c.AllowHTTP || len(c.AllowNets) != 1 {
		t.Errorf("%v; the operator's rules and the authority belong to it", err)
	}
	b.objects.change(func() { b.objects.secrets["shop/ca"] = map[string][]byte{"ca.crt": []byte("no PEM")} })
	garbled := b.until(t, "shop", id, "with an authority that became none", failing("holds no PEM certificate"))
	if c, err := credential.Decode(garbled.Set.JWKS); err != nil || c.CA != string(authority) {
		t.Errorf("the last good authority is gone: %v", err)
	}
	b.objects.change(func() { b.objects.secrets["shop/ca"] = map[string][]byte{"ca.crt": authority} })
	b.until(t, "shop", id, "with the authority again", good)
	b.objects.change(func() { delete(b.objects.secrets, "shop/sidecar") })
	s := b.until(t, "shop", id, "deleted", failing("does not exist"))
	if s.Keys != 1 || strings.Contains(s.Err.Error(), "s3cret") {
		t.Errorf("the last good one is gone, or shown: %v", s.Err)
	}
}

// certificate is one in PEM.
func certificate(t *testing.T) []byte {
	t.Helper()
	server := httptest.NewTLSServer(http.NotFoundHandler())
	server.Close()
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
}
