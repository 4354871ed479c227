// Package introspection has tests of opaque tokens with a real provider and real sidecars.
package introspection

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/hack/interop/idp"
)

const patience = 30 * time.Second

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
	binary := build(t)
	for _, signed := range []bool{false, true} {
		t.Run(fmt.Sprintf("signed %v", signed), func(t *testing.T) {
			t.Parallel()
			var replicas []string
			for range 3 {
				replicas = append(replicas, sidecar(t, binary, policies(t, issuer, signed)))
			}
			token := grant(t, issuer)
			for i, at := range replicas {
				if status, body := get(t, at, token); status != http.StatusOK {
					t.Errorf("replica %d: %d %s", i, status, body)
				}
				if status, _ := get(t, at, "made-up"); status != http.StatusUnauthorized {
					t.Errorf("replica %d, a made-up token: %d", i, status)
				}
			}
			post(t, issuer+"/token/revocation", url.Values{"token": {token}})
			end := time.Now().Add(patience)
			for i, at := range replicas {
				for status := 0; status != http.StatusUnauthorized; status, _ = get(t, at, token) {
					if time.Now().After(end) {
						t.Fatalf("replica %d takes a token that was taken back", i)
					}
					time.Sleep(50 * time.Millisecond)
				}
			}
		})
	}
}

func client(id string, more map[string]any) map[string]any {
	c := map[string]any{"client_id": id, "client_secret": "a secret of the test", "response_types": []string{}, "redirect_uris": []string{}}
	for k, v := range more {
		c[k] = v
	}
	return c
}

// policies writes rules for a standalone sidecar.
func policies(t *testing.T, issuer string, signed bool) string {
	t.Helper()
	who, more := "sidecar", ""
	if signed {
		who, more = "signed", "\n    keys: {discovery: {}}"
	}
	text := fmt.Sprintf(`apiVersion: bearerguard.dev/v1alpha1
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
stringData: {client_id: %s, client_secret: "a secret of the test"}
`, issuer, more, signed, who)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "rules.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func build(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "sidecar")
	cmd := exec.Command("go", "build", "-o", binary, "./cmd/sidecar")
	cmd.Dir = filepath.Join(idp.Dir(), "../../..")
	cmd.Env = append(os.Environ(), "GOFLAGS=-trimpath")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the sidecar: %v\n%s", err, out)
	}
	return binary
}

// sidecar starts one before an app, and returns its address once it answers.
func sidecar(t *testing.T, binary, dir string) string {
	t.Helper()
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "the app") }))
	t.Cleanup(app.Close)
	var lc net.ListenConfig
	lis, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := lis.Addr().String()
	_ = lis.Close()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, binary, "run", "--policies", dir, "--listen", at, "--upstream", app.URL, "--admin", "",
		"--key-allow-http", "--key-allow-nets", "127.0.0.0/8")
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); _ = cmd.Wait() })
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if conn, err := net.DialTimeout("tcp", at, time.Second); err == nil { //nolint:noctx // a look whether it is there
			_ = conn.Close()
			return "http://" + at
		}
		if time.Now().After(end) {
			t.Fatal("the sidecar does not listen")
		}
	}
}

func grant(t *testing.T, issuer string) string {
	t.Helper()
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	body := post(t, issuer+"/token", url.Values{"grant_type": {"client_credentials"}, "resource": {"urn:orders"}, "scope": {"orders.read"}})
	if err := json.Unmarshal(body, &answer); err != nil || answer.AccessToken == "" || strings.Contains(answer.AccessToken, ".") {
		t.Fatalf("no opaque token: %s", body)
	}
	return answer.AccessToken
}

func post(t *testing.T, to string, form url.Values) []byte {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, to, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth("shop", url.QueryEscape("a secret of the test"))
	return send(t, r, http.StatusOK)
}

func send(t *testing.T, r *http.Request, want int) []byte {
	t.Helper()
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != want {
		t.Fatalf("%s: %d %s, %v", r.URL.Path, resp.StatusCode, body, err)
	}
	return body
}

func get(t *testing.T, at, token string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, at+"/orders", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body)
}
