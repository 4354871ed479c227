package gateway

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/hack/freeport"
)

// caddyProgram returns Caddy, built from its Go module; the first time that takes minutes, so it is kept in the user's cache.
func caddyProgram(t *testing.T) string {
	t.Helper()
	cache := os.Getenv("CACHE")
	if cache == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			t.Fatal(err)
		}
		cache = filepath.Join(dir, "bearerguard")
	}
	h := sha256.New()
	for _, name := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile(filepath.Join("caddy", name))
		if err != nil {
			t.Fatal(err)
		}
		h.Write(text)
	}
	h.Write([]byte(runtime.Version()))
	path := filepath.Join(cache, "gateway", "caddy-"+hex.EncodeToString(h.Sum(nil)[:8]))
	if _, err := os.Stat(path); err == nil {
		return path
	}
	made := path + ".new"
	cmd := exec.CommandContext(t.Context(), "go", "build", "-C", "caddy", "-trimpath", "-ldflags", "-s -w", "-o", made, "github.com/caddyserver/caddy/v2/cmd/caddy") //nolint:gosec // a test
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=readonly", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build Caddy: %v\n%s", err, out)
	}
	if err := os.Rename(made, path); err != nil {
		t.Fatal(err)
	}
	return path
}

// caddy starts Caddy with the configuration of the docs.
func caddy(t *testing.T, ask, app string) string {
	t.Helper()
	program, dir, address := caddyProgram(t), t.TempDir(), freeport.For(t)
	port := address[strings.LastIndexByte(address, ':'):]
	text := "{\n\tadmin off\n\tauto_https off\n\tpersist_config off\n}\n" +
		configuration(t, "caddyfile", ":8080 {", "http://"+port+" {\n\tbind 127.0.0.1", "bearerguard:9002", ask, "app:8080", app)
	file := filepath.Join(dir, "Caddyfile")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "run", "--config", file, "--adapter", "caddyfile") //nolint:gosec // a test
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
	run(t, address, cmd)
	return address
}

func TestCaddy(t *testing.T) {
	a := newApp(t)
	testGateway(t, caddy(t, serve(t, "--forward-auth", "--forward-auth-headers", "x-forwarded"), a.address), a)
}

func TestCaddyWithoutAnAnswer(t *testing.T) {
	a := newApp(t)
	if status, _, _ := send(t, caddy(t, freeport.For(t), a.address), "GET", "/orders", ""); status != http.StatusBadGateway || len(a.take()) > 0 {
		t.Errorf("%d, want 502", status)
	}
}
