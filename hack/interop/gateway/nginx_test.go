package gateway

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/bearerguard/bearerguard/hack/freeport"
)

// nginx starts Debian's nginx with the configuration of the docs.
func nginx(t *testing.T, ask, app string) string {
	t.Helper()
	t.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin")
	program, err := exec.LookPath("nginx")
	if err != nil {
		t.Skip("nginx is not installed: see hack/conformance/deps.sh")
	}
	dir, address := t.TempDir(), freeport.For(t)
	server := configuration(t, "nginx", "listen 8080", "listen "+address, "http://bearerguard:9002", "http://"+ask, "http://app:8080", "http://"+app)
	conf := "daemon off; master_process off; pid " + dir + "/pid; error_log stderr;\nevents {}\nhttp {\naccess_log off;\n"
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		conf += kind + "_temp_path " + dir + "/" + kind + ";\n"
	}
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(conf+server+"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, address, exec.Command(program, "-c", file, "-p", dir, "-e", "stderr")) //nolint:gosec // a test
	return address
}

func TestNginx(t *testing.T) {
	a := newApp(t)
	testGateway(t, nginx(t, serve(t, "--forward-auth", "--forward-auth-headers", "x-original"), a.address), a)
}

// While nobody answers, nothing gets to the app; nor while there are no rules yet, which the client hears of as 503.
func TestNginxWithoutAnAnswer(t *testing.T) {
	a := newApp(t)
	if status, _, _ := send(t, nginx(t, freeport.For(t), a.address), "GET", "/orders", ""); status < 500 || len(a.take()) > 0 {
		t.Errorf("%d", status)
	}
	dir, address := t.TempDir(), freeport.For(t)
	for _, name := range []string{"ca.crt", "token"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("none yet"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run(t, address, exec.Command(build(t), "serve", "--push", "127.0.0.1:1", "--push-ca", filepath.Join(dir, "ca.crt"), "--push-token", filepath.Join(dir, "token"),
		"--admin", "", "--forward-auth", address, "--forward-auth-headers", "x-original"))
	if status, _, _ := send(t, nginx(t, address, a.address), "GET", "/orders", ""); status != http.StatusServiceUnavailable || len(a.take()) > 0 {
		t.Errorf("%d, want 503", status)
	}
}
