// Package mcp runs the MCP SDK's client against its server behind a real sidecar, with a real authorization server.
package mcp

import (
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/bearerguard/bearerguard/hack/interop/idp"
)

// sidecar builds the real one.
func sidecar(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sidecar")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-C", filepath.Join(here(), "../../.."), "-tags", "grpcnotrace", "-o", path, "./cmd/sidecar").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

func here() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(file)
}

// run runs a script that checks what it sees.
func run(t *testing.T, script string) {
	t.Helper()
	t.Parallel()
	idp.Install(t)
	idp.InstallIn(t, here())
	out, err := exec.CommandContext(t.Context(), "node", filepath.Join(here(), script), sidecar(t)).CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Error(err)
	}
}

// TestClientAndServerOfTheSDK has the client find the authorization server, register, log in, call a tool, be refused another, step
// up and call it: make demo-mcp shows it.
func TestClientAndServerOfTheSDK(t *testing.T) { run(t, "demo.mjs") }

// TestConformance runs scenarios of @modelcontextprotocol/conformance against a server that asks for tokens: sessions, streams, and
// requests of the server that the client answers go through, and what is not from this machine does not.
func TestConformance(t *testing.T) { run(t, "conformance.mjs") }
