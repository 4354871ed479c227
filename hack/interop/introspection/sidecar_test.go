package introspection

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/hack/interop/idp"
)

const (
	patience = 30 * time.Second
	password = "a secret of the test"
)

var built string // where binary builds it

// binary builds the sidecar once for all tests.
var binary = sync.OnceValues(func() (string, error) {
	file := filepath.Join(built, "sidecar")
	cmd := exec.Command("go", "build", "-o", file, "./cmd/sidecar")
	cmd.Dir = filepath.Join(idp.Dir(), "../../..")
	cmd.Env = append(os.Environ(), "GOFLAGS=-trimpath")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the sidecar: %w\n%s", err, out)
	}
	return file, nil
})

func TestMain(m *testing.M) {
	var err error
	if built, err = os.MkdirTemp("", "introspection"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(built)
	os.Exit(code)
}

// sidecar starts one with rules before an app, and returns its address once it listens.
func sidecar(t *testing.T, rules string, flags ...string) string {
	t.Helper()
	file, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "rules.yaml"), []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "the app") }))
	t.Cleanup(app.Close)
	cmd := exec.Command(file, append([]string{"run", "--policies", dir, "--listen", "127.0.0.1:0", "--upstream", app.URL, "--admin", "",
		"--key-allow-http", "--key-allow-nets", "127.0.0.0/8"}, flags...)...)
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	listens, ended := make(chan string, 1), make(chan struct{})
	go func() {
		defer close(ended)
		for lines := bufio.NewScanner(log); lines.Scan(); {
			var line struct {
				Msg    string
				Listen []string
			}
			if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "sidecar runs" && len(line.Listen) == 1 {
				listens <- line.Listen[0]
			}
			fmt.Fprintln(t.Output(), lines.Text())
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		_ = cmd.Wait()
	})
	select {
	case at := <-listens:
		return "http://" + at
	case <-ended:
		t.Fatal("the sidecar ended")
	case <-time.After(patience):
		t.Fatal("the sidecar does not listen")
	}
	return ""
}

// until asks again and again until fine, since a process of somebody else's does not say when it will be.
func until(t *testing.T, what string, fine func() bool) {
	t.Helper()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for end := time.After(patience); !fine(); {
		select {
		case <-again.C:
		case <-end:
			t.Fatalf("in vain until %s", what)
		}
	}
}

// client is a client as oidc-provider has them.
func client(id string, more map[string]any) map[string]any {
	c := map[string]any{"client_id": id, "client_secret": password, "response_types": []string{}, "redirect_uris": []string{}}
	for k, v := range more {
		c[k] = v
	}
	return c
}

// grant gets a token by client_credentials.
func grant(t *testing.T, c *http.Client, at, id string, more url.Values) string {
	t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {"orders.read"}}
	for k, v := range more {
		form[k] = v
	}
	body := post(t, c, at, id, form)
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal(body, &answer); err != nil || answer.AccessToken == "" {
		t.Fatalf("no token: %s", body)
	}
	return answer.AccessToken
}

// post sends a form as a client.
func post(t *testing.T, c *http.Client, to, id string, form url.Values) []byte {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, to, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(id, url.QueryEscape(password))
	return send(t, c, r, http.StatusOK)
}

func send(t *testing.T, c *http.Client, r *http.Request, want int) []byte {
	t.Helper()
	resp, err := c.Do(r)
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

// get asks an app behind a sidecar.
func get(t *testing.T, at, token string) int {
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
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

// refusedWithin holds that all replicas refuse a token that has just been taken back, after cacheTTL at the latest; 5 s are for
// machines that are busy, and far from the default of 30 s.
func refusedWithin(t *testing.T, cacheTTL time.Duration, replicas []string, token string) {
	t.Helper()
	began := time.Now()
	for i, at := range replicas {
		until(t, fmt.Sprintf("replica %d refuses it", i), func() bool { return get(t, at, token) == http.StatusUnauthorized })
	}
	if took := time.Since(began); took > cacheTTL+5*time.Second {
		t.Errorf("it was good for %s more, with cacheTTL %s", took, cacheTTL)
	} else {
		t.Logf("refused everywhere after %s, with cacheTTL %s", took, cacheTTL)
	}
}
