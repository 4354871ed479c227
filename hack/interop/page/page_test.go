// Package page looks at the playground and the dashboard with a real browser, Debian's Chromium.
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
	use(t, "./cmd/kubectl-bearerguard", "playground.mjs")
}

// TestDashboard has a browser use the dashboard of a made fleet in the same way.
func TestDashboard(t *testing.T) {
	t.Parallel()
	use(t, "./cmd/kubectl-bearerguard/dashboard/dashboardtest/serve", "dashboard.mjs")
}

// use builds a program that serves a page, and has a script use it.
func use(t *testing.T, program, script string) {
	t.Helper()
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is not installed: hack/interop/deps.sh installs it")
	}
	_, file, _, _ := runtime.Caller(0)
	here := filepath.Dir(file)
	idp.InstallIn(t, here)
	built := filepath.Join(t.TempDir(), "program")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-C", filepath.Join(here, "../../.."), "-o", built, program).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err = exec.CommandContext(t.Context(), "node", filepath.Join(here, script), built, chromium, os.Getenv("SCREENSHOTS")).CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Error(err)
	}
}
