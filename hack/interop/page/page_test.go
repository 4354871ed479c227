// Package page looks at the playground and the dashboard with a real browser, Debian's Chromium.
package page

import (
	"image"
	"image/png"
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

// TestPictures makes the pictures of docs/images, of the size that they have there.
func TestPictures(t *testing.T) {
	t.Parallel()
	chromium, here := prepare(t)
	folder := t.TempDir()
	cli, fixture := build(t, here, "./cmd/kubectl-bearerguard"), build(t, here, "./cmd/kubectl-bearerguard/dashboard/dashboardtest/serve")
	out, err := exec.CommandContext(t.Context(), "node", filepath.Join(here, "pictures.mjs"), cli, fixture, chromium, folder).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, name := range []string{"dashboard.png", "playground.png"} {
		got, want := sizeOf(t, filepath.Join(folder, name)), sizeOf(t, filepath.Join(here, "../../../docs/images", name))
		if got != want {
			t.Errorf("%s is %v, and %v in docs/images", name, got, want)
		}
	}
}

func sizeOf(t *testing.T, file string) image.Point {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	config, err := png.DecodeConfig(f)
	if err != nil {
		t.Fatal(err)
	}
	return image.Pt(config.Width, config.Height)
}

// prepare returns the browser and this folder, with what the scripts need in it.
func prepare(t *testing.T) (chromium, here string) {
	t.Helper()
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is not installed: hack/interop/deps.sh installs it")
	}
	_, file, _, _ := runtime.Caller(0)
	here = filepath.Dir(file)
	idp.InstallIn(t, here)
	return chromium, here
}

// build returns a program of the repository.
func build(t *testing.T, here, program string) string {
	t.Helper()
	built := filepath.Join(t.TempDir(), "program")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-C", filepath.Join(here, "../../.."), "-o", built, program).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return built
}

// use builds a program that serves a page, and has a script use it.
func use(t *testing.T, program, script string) {
	t.Helper()
	chromium, here := prepare(t)
	out, err := exec.CommandContext(t.Context(), "node", filepath.Join(here, script), build(t, here, program), chromium, os.Getenv("SCREENSHOTS")).CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Error(err)
	}
}
