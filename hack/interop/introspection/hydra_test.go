package introspection

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/hack/freeport"
	"github.com/bearerguard/bearerguard/hack/interop/idp"
)

// hydra is Ory Hydra, for one test.
type hydra struct {
	issuer string
	admin  string // where it is configured, and introspects, by whoever reaches it
}

// startHydra runs Hydra with its database in memory until the test ends. The test is skipped unless Hydra has been built, which takes
// minutes: `make interop-hydra` does.
func startHydra(t *testing.T) hydra {
	t.Helper()
	found, err := exec.Command(filepath.Join(idp.Dir(), "../../cluster/build.sh"), "built", "hydra").Output()
	if err != nil {
		t.Skip("Hydra is not built, or not as hack/interop/hydra/go.mod has it now; make interop-hydra builds it")
	}
	public, admin := port(t), port(t)
	h := hydra{issuer: fmt.Sprintf("http://127.0.0.1:%d", public), admin: fmt.Sprintf("http://127.0.0.1:%d", admin)}
	conf, err := json.Marshal(map[string]any{
		"dsn": "memory", "urls": map[string]any{"self": map[string]any{"issuer": h.issuer}}, "log": map[string]any{"level": "error"},
		"serve":   map[string]any{"public": map[string]any{"host": "127.0.0.1", "port": public}, "admin": map[string]any{"host": "127.0.0.1", "port": admin}},
		"secrets": map[string]any{"system": []string{password}},
	})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "hydra.json")
	if err := os.WriteFile(file, conf, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, string(bytes.TrimSpace(found)), "serve", "all", "--dev", "--sqa-opt-out", "-c", file)
	cmd.Stderr = t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(); _ = cmd.Wait() })
	until(t, "Hydra is ready", func() bool {
		resp, err := http.Get(h.admin + "/health/ready") //nolint:noctx // on this machine
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	for _, set := range []string{"hydra.openid.id-token", "hydra.jwt.access-token"} { // else it makes RSA keys of 4096 bits, which takes its time
		h.create(t, "/admin/keys/"+set, map[string]any{"alg": "ES256", "use": "sig", "kid": set})
	}
	return h
}

// create has something made.
func (h hydra) create(t *testing.T, at string, what map[string]any) {
	t.Helper()
	body, err := json.Marshal(what)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.admin+at, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	send(t, http.DefaultClient, r, http.StatusCreated)
}

// port is one that nobody listens at.
func port(t *testing.T) int {
	t.Helper()
	port, err := freeport.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// client registers one whose access tokens are opaque or jwt.
func (h hydra) client(t *testing.T, id, strategy string) {
	t.Helper()
	h.create(t, "/admin/clients", map[string]any{
		"client_id": id, "client_secret": password, "grant_types": []string{"client_credentials"}, "scope": "orders.read",
		"audience": []string{"urn:orders", "urn:mail"}, "access_token_strategy": strategy,
	})
}

func (h hydra) token(t *testing.T, id, audience string) string {
	t.Helper()
	return grant(t, http.DefaultClient, h.issuer+"/oauth2/token", id, url.Values{"audience": {audience}})
}

// listened stands before Hydra's introspection endpoint, and keeps what it is asked about.
func (h hydra) listened(t *testing.T) (at string, asked func() []string) {
	t.Helper()
	target, err := url.Parse(h.admin)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var tokens []string
	proxy := httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		form, _ := url.ParseQuery(string(body))
		mu.Lock()
		tokens = append(tokens, form.Get("token"))
		mu.Unlock()
		r.Body = io.NopCloser(bytes.NewReader(body))
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL + "/admin/oauth2/introspect", func() []string { mu.Lock(); defer mu.Unlock(); return tokens }
}

// TestHydra: an issuer whose tokens are JWTs for one client and opaque for another. Any of three sidecars takes both: a JWT by Hydra's keys,
// which is never asked about; an opaque one by what Hydra says, until it is taken back.
func TestHydra(t *testing.T) {
	t.Parallel()
	h := startHydra(t)
	h.client(t, "opaque", "opaque")
	h.client(t, "jwt", "jwt")
	at, asked := h.listened(t)
	var replicas []string
	for range 3 {
		replicas = append(replicas, sidecar(t, hydraPolicies(h.issuer, at)))
	}
	jwt, opaque := h.token(t, "jwt", "urn:orders"), h.token(t, "opaque", "urn:orders")
	if strings.Count(jwt, ".") != 2 || !strings.HasPrefix(jwt, "ey") || strings.HasPrefix(opaque, "ey") {
		t.Fatal("not a JWT and an opaque token")
	}
	forged := jwt[:len(jwt)-8] + "AAAAAAAA"
	for what, c := range map[string]struct {
		token string
		want  int
	}{
		"a JWT":                             {jwt, http.StatusOK},
		"an opaque token":                   {opaque, http.StatusOK},
		"a JWT that is forged":              {forged, http.StatusUnauthorized},
		"a JWT for another audience":        {h.token(t, "jwt", "urn:mail"), http.StatusUnauthorized},
		"an opaque one for another":         {h.token(t, "opaque", "urn:mail"), http.StatusUnauthorized},
		"an opaque one that is made up":     {"ory_at_" + strings.Repeat("x", 43) + "." + strings.Repeat("y", 43), http.StatusUnauthorized},
		"an opaque one that is changed":     {opaque[:len(opaque)-4] + "AAAA", http.StatusUnauthorized},
		"an opaque one, the half before it": {opaque[:strings.Index(opaque, ".")], http.StatusUnauthorized},
	} {
		for i, replica := range replicas {
			if got := get(t, replica, c.token); got != c.want {
				t.Errorf("replica %d, %s: %d, want %d", i, what, got, c.want)
			}
		}
	}
	post(t, http.DefaultClient, h.issuer+"/oauth2/revoke", "opaque", url.Values{"token": {opaque}})
	refusedWithin(t, time.Second, replicas, opaque)
	for i, replica := range replicas {
		if got := get(t, replica, jwt); got != http.StatusOK {
			t.Errorf("replica %d, the JWT afterwards: %d", i, got)
		}
	}
	about := asked()
	for _, token := range about {
		if strings.HasPrefix(token, "ey") {
			t.Error("a JWT was asked about")
		}
	}
	if n := len(about); n < 3*5 {
		t.Errorf("asked %d times only", n)
	}
}

// hydraPolicies have one issuer in two entries: for its JWTs, and for its opaque tokens.
func hydraPolicies(issuer, introspection string) string {
	return fmt.Sprintf(`apiVersion: bearerguard.dev/v1alpha1
kind: AuthPolicy
metadata: {name: orders}
spec:
  issuers:
  - name: jwt
    issuer: %[1]q
    audiences: ["urn:orders"]
    keys: {discovery: {}}
  - name: opaque
    issuer: %[1]q
    audiences: ["urn:orders"]
    introspection: {url: %[2]q, cacheTTL: 1s, credentialsSecretRef: {name: introspection}}
  rules: [{name: read, allow: {scopes: [orders.read]}}]
---
apiVersion: v1
kind: Secret
metadata: {name: introspection}
stringData: {client_id: sidecar, client_secret: %[3]q}
`, issuer, introspection, password)
}
