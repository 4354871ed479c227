// Package proof_test has tokens that oidc-provider binds to a key be used by oauth4webapi and by a TLS client, with a real sidecar between.
package proof_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/hack/freeport"
	"github.com/bearerguard/bearerguard/hack/interop/idp"
)

// sidecar builds one, starts it in front of an app with a policy, and returns its address.
func sidecar(t *testing.T, policyAt func(address string) string, args ...string) string {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "sidecar")
	build := exec.CommandContext(t.Context(), "go", "build", "-C", filepath.Join(idp.Dir(), "../../.."), "-tags", "grpcnotrace", "-o", program, "./cmd/sidecar") //nolint:gosec // a test
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	policies := filepath.Join(dir, "policies")
	if err := os.Mkdir(policies, 0o700); err != nil {
		t.Fatal(err)
	}
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte(r.Header.Get("X-User"))) }))
	t.Cleanup(app.Close)
	address := freeport.For(t)
	if err := os.WriteFile(filepath.Join(policies, "policy.yaml"), []byte(policyAt(address)), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, append([]string{ //nolint:gosec // a test
		"run", "--policies", policies, "--listen", address, "--upstream", app.URL, "--admin", "", "--key-allow-http", "--key-allow-nets", "127.0.0.0/8",
	}, args...)...)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
	})
	for end := time.Now().Add(30 * time.Second); ; {
		c, err := net.Dial("tcp", address)
		if err == nil {
			_ = c.Close()
			return address
		}
		if time.Now().After(end) {
			t.Fatal("the sidecar does not listen")
		}
		time.Sleep(50 * time.Millisecond) // there is nothing else to wait on
	}
}

func TestDPoPWithOAuth4WebAPI(t *testing.T) {
	t.Parallel()
	const secret = "a secret of the test"
	issuer := idp.Start(t, idp.Config{
		Resources: map[string]idp.Resource{"urn:orders": {Scopes: []string{"orders.read"}}},
		Provider: map[string]any{
			"features":   map[string]any{"dPoP": map[string]any{"enabled": true}},
			"enabledJWA": map[string]any{"dPoPSigningAlgValues": []string{"ES256", "PS256", "Ed25519"}},
			"clients": []map[string]any{{
				"client_id": "shop", "client_secret": secret, "grant_types": []string{"client_credentials"}, "token_endpoint_auth_method": "client_secret_post",
				"response_types": []string{}, "redirect_uris": []string{}, "scope": "orders.read", "dpop_bound_access_tokens": true,
			}},
		},
	})
	address := sidecar(t, func(address string) string {
		return `apiVersion: v1
kind: Secret
metadata: {name: nonces}
stringData: {key: "0123456789abcdef0123456789abcdef"}
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
    proof: {dpop: Required, publicURLs: ["http://` + address + `"], nonceSecretRef: {name: nonces, key: key}}
  rules:
  - name: read
    allow: {scopes: [orders.read]}
`
	})
	for _, alg := range []string{"ES256", "PS256", "Ed25519"} {
		out := client(t, "dpop.mjs", issuer, secret, "urn:orders", "http://"+address+"/orders/1?page=2", alg)
		want := "token dpop\nfirst 401 dpop use_dpop_nonce true\nsecond 200\nthird 200\nthief 401 dpop invalid_token\nbearer 401 BoundAsBearer\n"
		if out != want {
			t.Errorf("%s: got\n%swant\n%s", alg, out, want)
		}
	}
}

// client runs a script.
func client(t *testing.T, script string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "node", append([]string{filepath.Join(idp.Dir(), script)}, args...)...) //nolint:gosec // a test
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Errorf("%s: %v\n%s", script, err, out)
	}
	return string(out)
}
