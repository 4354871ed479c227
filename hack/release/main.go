package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// release is what is made.
type release struct {
	// root is the project's folder, out where the files go, bin where programs are built.
	root, out, bin string
	version        string
	// date is that of the commit, which all files have.
	date time.Time
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "error: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	version := flag.String("version", "", "`version` to release, as in the charts and in CHANGELOG.md: 0.1.0")
	root := flag.String("root", "../..", "the project's `folder`")
	out := flag.String("out", "", "`folder` for the files, which is made anew (default dist/ of the project)")
	flag.Parse()
	r, err := newRelease(ctx, *root, *out, *version)
	if err != nil {
		return err
	}
	defer os.RemoveAll(r.bin)
	for _, step := range []struct {
		name string
		make func(context.Context) error
	}{
		{"programs", r.programs}, {"image", r.image}, {"charts", r.charts}, {"schemas", r.schemas}, {"krew", r.krew}, {"checksums", r.checksums},
	} {
		start := time.Now()
		if err := step.make(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
		fmt.Printf("%-10s %5.1f s\n", step.name, time.Since(start).Seconds())
	}
	return r.list(os.Stdout)
}

// semver is a version as of https://semver.org, without a "v".
var semver = regexp.MustCompile(`^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?$`)

// newRelease checks that the project says of itself that it is this version, and makes the folders.
func newRelease(ctx context.Context, root, out, version string) (*release, error) {
	if !semver.MatchString(version) {
		return nil, fmt.Errorf("VERSION: %q is not a version such as 0.1.0", version)
	}
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	r := &release{root: root, out: out, version: version}
	if r.out == "" {
		r.out = filepath.Join(root, "dist")
	}
	if err := r.agrees(); err != nil {
		return nil, err
	}
	if r.date, err = date(ctx, root); err != nil {
		return nil, err
	}
	if err := os.RemoveAll(r.out); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(r.out, 0o755); err != nil {
		return nil, err
	}
	r.bin, err = os.MkdirTemp("", "bearerguard-release-")
	return r, err
}

// agrees fails unless the charts and the changelog have this version.
func (r *release) agrees() error {
	for _, chart := range chartNames {
		text, err := os.ReadFile(filepath.Join(r.root, "charts", chart, "Chart.yaml"))
		if err != nil {
			return err
		}
		for _, want := range []string{"\nversion: " + r.version + "\n", "\nappVersion: " + r.version + "\n"} {
			if !bytes.Contains(text, []byte(want)) {
				return fmt.Errorf("charts/%s/Chart.yaml: want %q for this version", chart, strings.TrimSpace(want))
			}
		}
	}
	text, err := os.ReadFile(filepath.Join(r.root, "CHANGELOG.md"))
	if err != nil {
		return err
	}
	if !bytes.Contains(text, []byte("\n## "+r.version+" ")) {
		return fmt.Errorf("CHANGELOG.md: has no section %q; what is unreleased gets that heading, with a date", "## "+r.version)
	}
	return nil
}

// date is SOURCE_DATE_EPOCH if that is set, and else when the commit was made.
func date(ctx context.Context, root string) (time.Time, error) {
	text := os.Getenv("SOURCE_DATE_EPOCH")
	if text == "" {
		out, err := exec.CommandContext(ctx, "git", "-C", root, "log", "-1", "--format=%ct").Output()
		if err != nil {
			return time.Time{}, errors.New("the date of the commit is not known; want a git clone, or SOURCE_DATE_EPOCH")
		}
		text = strings.TrimSpace(string(out))
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH: %q is not a number of seconds", text)
	}
	return time.Unix(seconds, 0).UTC(), nil
}
