package introspection

import (
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
