package introspection

import (
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/hack/interop/idp"
)

// TestOpaqueTokensNeedNoSessionAffinity: any of three sidecars takes a token of oidc-provider, and each feels it within cacheTTL when
// the provider takes it back; with plain and with signed answers (RFC 9701).
func TestOpaqueTokensNeedNoSessionAffinity(t *testing.T) {
	t.Parallel()
	issuer := idp.Start(t, idp.Config{
		Resources: map[string]idp.Resource{"urn:orders": {Scopes: []string{"orders.read"}, Format: "opaque"}},
		Provider: map[string]any{
			"features": map[string]any{
				"introspection": map[string]any{"enabled": true}, "jwtIntrospection": map[string]any{"enabled": true},
				"revocation": map[string]any{"enabled": true},
			},
			"clients": []map[string]any{
				client("shop", map[string]any{"grant_types": []string{"client_credentials"}, "scope": "orders.read"}),
				client("sidecar", map[string]any{"grant_types": []string{}}),
				client("signed", map[string]any{"grant_types": []string{}, "introspection_signed_response_alg": "RS256"}),
			},
		},
	})
	for _, signed := range []bool{false, true} {
		t.Run(fmt.Sprintf("signed %v", signed), func(t *testing.T) {
			t.Parallel()
			var replicas []string
			for range 3 {
				replicas = append(replicas, sidecar(t, policies(issuer, signed)))
			}
			token := grant(t, http.DefaultClient, issuer+"/token", "shop", url.Values{"resource": {"urn:orders"}})
			if strings.Contains(token, ".") {
				t.Fatalf("not opaque: %s", token)
			}
			for i, at := range replicas {
				if status := get(t, at, token); status != http.StatusOK {
					t.Errorf("replica %d: %d", i, status)
				}
				if status := get(t, at, "made-up"); status != http.StatusUnauthorized {
					t.Errorf("replica %d, a made-up token: %d", i, status)
				}
			}
			post(t, http.DefaultClient, issuer+"/token/revocation", "shop", url.Values{"token": {token}})
			refusedWithin(t, time.Second, replicas, token)
		})
	}
}

// TestEncryptedAnswersAreRefused: the client is told that its token cannot be judged, not that it is bad.
func TestEncryptedAnswersAreRefused(t *testing.T) {
	t.Parallel()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	jwk := keyed(t, key, err).jwk("k1")
	jwk["use"] = "enc"
	issuer := idp.Start(t, idp.Config{
		Resources: map[string]idp.Resource{"urn:orders": {Scopes: []string{"orders.read"}, Format: "opaque"}},
		Provider: map[string]any{
			"features": map[string]any{
				"introspection": map[string]any{"enabled": true}, "jwtIntrospection": map[string]any{"enabled": true}, "encryption": map[string]any{"enabled": true},
			},
			"clients": []map[string]any{
				client("shop", map[string]any{"grant_types": []string{"client_credentials"}, "scope": "orders.read"}),
				client("signed", map[string]any{
					"grant_types": []string{}, "introspection_signed_response_alg": "RS256",
					"introspection_encrypted_response_alg": "RSA-OAEP-256", "introspection_encrypted_response_enc": "A256GCM",
					"jwks": map[string]any{"keys": []any{jwk}},
				}),
			},
		},
	})
	token := grant(t, http.DefaultClient, issuer+"/token", "shop", url.Values{"resource": {"urn:orders"}})
	admin := fmt.Sprintf("127.0.0.1:%d", port(t))
	if status := get(t, sidecar(t, policies(issuer, true), "--admin", admin), token); status != http.StatusServiceUnavailable {
		t.Errorf("got %d, want 503", status)
	}
	const cause = "is encrypted (JWE)"
	if refusals := adminPage(t, admin, "/debug/refusals"); !strings.Contains(refusals, cause) {
		t.Errorf("no refusal says that it %s:\n%s", cause, refusals)
	}
}

// policies are rules for a standalone sidecar.
func policies(issuer string, signed bool) string {
	who, more := "sidecar", ""
	if signed {
		who, more = "signed", "\n    keys: {discovery: {}}"
	}
	return fmt.Sprintf(`apiVersion: bearerguard.dev/v1alpha1
kind: AuthPolicy
metadata: {name: orders}
spec:
  issuers:
  - name: corp
    issuer: %q
    audiences: ["urn:orders"]%s
    introspection: {discovery: {}, signedResponse: %v, cacheTTL: 1s, credentialsSecretRef: {name: introspection}}
  rules: [{name: read, allow: {scopes: [orders.read]}}]
---
apiVersion: v1
kind: Secret
metadata: {name: introspection}
stringData: {client_id: %s, client_secret: %q}
`, issuer, more, signed, who, password)
}
