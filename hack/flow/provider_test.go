package flow_test

import (
	"bufio"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/api/policy"
)

// TestBackChannelLogoutOfARealProvider logs a user in and out at oidc-provider, whose back-channel logout takes the user's tokens back.
func TestBackChannelLogoutOfARealProvider(t *testing.T) {
	ns := newNamespace(t)
	issuer := startNode(t, "provider.mjs", map[string]any{
		"resources": map[string]any{"urn:orders": map[string]any{"audience": "orders", "scopes": []string{"orders.read"}}},
		"provider": map[string]any{
			"features": map[string]any{"backchannelLogout": map[string]any{"enabled": true}},
			"clients": []any{map[string]any{
				"client_id": "shop", "client_secret": "a secret of the test", "redirect_uris": []string{"https://shop.example.com/cb"},
				"scope":                               "openid orders.read",
				"backchannel_logout_uri":              world.events + "/logout/" + ns + "/login",
				"backchannel_logout_session_required": true,
			}},
		},
	})
	source := newSource(t, ns, newKey(t))
	source.Spec.Issuer, source.Spec.Keys = issuer, &policy.KeySource{JWKSURL: issuer + "/jwks"}
	source.Spec.BackChannelLogout.By = policy.BySubject // its access tokens have no sid
	create(t, source)
	guarded := newPolicy(t, ns, newKey(t))
	guarded.Spec.Issuers[0].Issuer, guarded.Spec.Issuers[0].Keys = issuer, policy.KeySource{JWKSURL: issuer + "/jwks"}
	create(t, guarded)
	app, port := newApp(t), freePort()
	pod := newPod(ns, fmt.Sprintf("%d:%d", port, portOf(app.URL)))
	create(t, pod)
	startSidecar(t, pod, containerNamed(t, pod.Spec.InitContainers, "bearerguard"), t.TempDir())
	ask := func(token string) func() string {
		return func() string { return get(t, fmt.Sprintf("http://127.0.0.1:%d/orders", port), token) }
	}
	alice, bob := newBrowser(t, issuer), newBrowser(t, issuer)
	token, bobs := alice.login(t, "alice"), bob.login(t, "bob")
	eventually(t, "alice is let in", ask(token), "200")
	eventually(t, "the source is served", sourceConditions(t, source), "Accepted=True")

	began := time.Now()
	alice.logout(t)
	eventually(t, "alice has logged out", ask(token), "401")
	t.Logf("from the log-out's request to the refusal: %s", time.Since(began).Round(time.Millisecond))
	expect(t, "bob", ask(bobs)(), "200")
	eventually(t, "the status says so", sourceConditions(t, source), "Connected=True Programmed=True Ready=True ResolvedRefs=True /logout/"+ns+"/login 1")
}

// startNode runs a script of hack/interop/idp with a file that has its configuration, and returns the line that it prints. Without node the test
// is skipped, but fails where CI is set.
func startNode(t *testing.T, script string, config any) string {
	t.Helper()
	dir := "../interop/idp"
	if _, err := exec.LookPath("npm"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("npm is not installed")
		}
		t.Skip("npm is not installed")
	}
	lock, err := os.Stat(filepath.Join(dir, "package-lock.json"))
	if err != nil {
		t.Fatal(err)
	}
	if done, err := os.Stat(filepath.Join(dir, "node_modules/.package-lock.json")); err != nil || done.ModTime().Before(lock.ModTime()) {
		install := exec.CommandContext(t.Context(), "npm", "ci", "--no-progress")
		install.Dir = dir
		if out, err := install.CombinedOutput(); err != nil {
			t.Fatalf("npm ci: %v\n%s", err, out)
		}
	}
	text, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "config.json")
	write(t, file, text)
	cmd := exec.CommandContext(t.Context(), "node", filepath.Join(dir, script), file)
	// The certificate of the test's controller is its own authority, which node takes for none.
	cmd.Env, cmd.Stderr = append(os.Environ(), "NODE_TLS_REJECT_UNAUTHORIZED=0", "NODE_NO_WARNINGS=1"), os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stdin.Close(); _ = cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("%s did not start: %v", script, err)
	}
	return strings.TrimSpace(line)
}

// browser is a user's, with the cookies of a provider.
type browser struct {
	issuer string
	client *http.Client
	idHint string
}

func newBrowser(t *testing.T, issuer string) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{issuer: issuer, client: &http.Client{Jar: jar, CheckRedirect: func(req *http.Request, _ []*http.Request) error {
		if req.URL.Host == "shop.example.com" {
			return http.ErrUseLastResponse
		}
		return nil
	}}}
}

func (b *browser) do(t *testing.T, method, at string, form url.Values) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, at, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := b.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

// login goes through the code flow (OpenID Connect Core 1.0 section 3.1) and returns an access token.
func (b *browser) login(t *testing.T, user string) string {
	t.Helper()
	verifier := rand.Text() + rand.Text()
	sum := sha256.Sum256([]byte(verifier))
	resp, body := b.do(t, http.MethodGet, b.issuer+"/auth?"+url.Values{
		"client_id": {"shop"}, "response_type": {"code"}, "redirect_uri": {"https://shop.example.com/cb"}, "scope": {"openid orders.read"},
		"resource": {"urn:orders"}, "login_hint": {user}, "code_challenge_method": {"S256"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])},
	}.Encode(), nil)
	back, err := resp.Location()
	if err != nil || back.Query().Get("code") == "" {
		t.Fatalf("log-in: %d %s %s", resp.StatusCode, resp.Header.Get("Location"), body)
	}
	_, body = b.do(t, http.MethodPost, b.issuer+"/token", url.Values{
		"grant_type": {"authorization_code"}, "code": {back.Query().Get("code")}, "redirect_uri": {"https://shop.example.com/cb"},
		"code_verifier": {verifier}, "client_id": {"shop"}, "client_secret": {"a secret of the test"},
	})
	var tokens struct {
		Access string `json:"access_token"`
		ID     string `json:"id_token"`
	}
	if json.Unmarshal([]byte(body), &tokens) != nil || tokens.Access == "" {
		t.Fatalf("token: %s", body)
	}
	b.idHint = tokens.ID
	return tokens.Access
}

var xsrf = regexp.MustCompile(`name="xsrf" value="([^"]+)"`)

// logout ends the session (OpenID Connect RP-Initiated Logout 1.0).
func (b *browser) logout(t *testing.T) {
	t.Helper()
	_, page := b.do(t, http.MethodGet, b.issuer+"/session/end?"+url.Values{"id_token_hint": {b.idHint}}.Encode(), nil)
	found := xsrf.FindStringSubmatch(page)
	if found == nil {
		t.Fatalf("the page of the log-out: %s", page)
	}
	if resp, body := b.do(t, http.MethodPost, b.issuer+"/session/end/confirm", url.Values{"xsrf": {found[1]}, "logout": {"yes"}}); resp.StatusCode >= 400 {
		t.Fatalf("log-out: %d %s", resp.StatusCode, body)
	}
}
