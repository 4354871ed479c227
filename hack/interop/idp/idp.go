// Package idp starts the OpenID provider oidc-provider, from npm, for one test.
package idp

import (
	"bufio"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience bounds the start of the provider, and the installation of what it needs.
const patience = 2 * time.Minute

// Config is what provider.mjs reads; its head says what each member means.
type Config struct {
	Resources map[string]Resource       `json:"resources,omitempty"`
	Provider  map[string]any            `json:"provider,omitempty"`
	Accounts  map[string]map[string]any `json:"accounts,omitempty"`

	// Cert and Key are PEM files: the provider speaks TLS with them. ClientCA is one with authorities of clients'
	// certificates, which the provider asks for then. Empty: http.
	Cert, Key, ClientCA string `json:"-"`
}

// Resource is a resource server that tokens are issued for (RFC 8707), by its indicator.
type Resource struct {
	// Audience of tokens; the indicator by default.
	Audience string   `json:"audience,omitempty"`
	Scopes   []string `json:"scopes,omitempty"`
	// Format is jwt (default) or opaque, Algorithm that of a JWT's signature: RS256 by default.
	Format    string `json:"format,omitempty"`
	Algorithm string `json:"algorithm,omitempty"`
	// Lifetime of tokens in seconds; 600 by default.
	Lifetime int `json:"lifetime,omitempty"`
}

// Start runs a provider until the test ends and returns its issuer. The test is skipped where node or npm is missing, and
// fails so where CI is set.
func Start(t *testing.T, c Config) (issuer string) {
	t.Helper()
	Install(t)
	file := filepath.Join(t.TempDir(), "provider.json")
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{filepath.Join(Dir(), "provider.mjs"), file}
	if c.Cert != "" {
		args = append(args, c.Cert, c.Key)
	}
	if c.ClientCA != "" {
		args = append(args, c.ClientCA)
	}
	cmd := exec.Command("node", args...)
	cmd.Stderr = os.Stderr
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
	t.Cleanup(func() {
		_ = stdin.Close() // ends it
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the provider did not start: %v", err)
	}
	return strings.TrimSpace(line)
}

// Dir is where package.json is: scripts there find what it names.
func Dir() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(file)
}

var installing sync.Mutex

// Install gets what package-lock.json names, unless it is there.
func Install(t *testing.T) {
	t.Helper()
	InstallIn(t, Dir())
}

// InstallIn is Install for another directory with a package-lock.json.
func InstallIn(t *testing.T, dir string) {
	t.Helper()
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatalf("%s is not installed", program)
			}
			t.Skipf("%s is not installed", program)
		}
	}
	installing.Lock()
	defer installing.Unlock()
	lock, err := os.Stat(filepath.Join(dir, "package-lock.json"))
	if err != nil {
		t.Fatal(err)
	}
	if done, err := os.Stat(filepath.Join(dir, "node_modules/.package-lock.json")); err == nil && !done.ModTime().Before(lock.ModTime()) {
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "npm", "ci", "--no-progress")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, out)
	}
}
