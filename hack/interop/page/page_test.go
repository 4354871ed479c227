// Package page looks at the playground with a real browser, Debian's Chromium.
package page

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/bearerguard/bearerguard/hack/interop/idp"
)

// TestPlayground has a browser use the page by mouse and keyboard, in light and dark, on large and small screens, with axe's rules of
// accessibility. SCREENSHOTS names a folder to leave pictures in.
func TestPlayground(t *testing.T) {
	t.Parallel()
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is not installed: hack/interop/deps.sh installs it")
	}
	_, file, _, _ := runtime.Caller(0)
	here := filepath.Dir(file)
	idp.InstallIn(t, here)
	program := filepath.Join(t.TempDir(), "bearerguard")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-C", filepath.Join(here, "../../.."), "-o", program, "./cmd/kubectl-bearerguard").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err = exec.CommandContext(t.Context(), "node", filepath.Join(here, "playground.mjs"), program, chromium, os.Getenv("SCREENSHOTS")).CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Error(err)
	}
}
