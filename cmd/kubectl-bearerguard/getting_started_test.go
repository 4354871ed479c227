package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"sigs.k8s.io/yaml"

	"github.com/bearerguard/bearerguard/hack/freeport"
	"github.com/bearerguard/bearerguard/hack/walk"
	"github.com/bearerguard/bearerguard/sidecar/config"
)

// The commands of docs/getting-started.md for a machine without Kubernetes are run by a shell, in an empty folder, and say what the page says.
func TestGettingStartedWithoutKubernetes(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds three programs")
	}
	page, err := os.ReadFile(filepath.Join(repository, "docs", "getting-started.md"))
	if err != nil {
		t.Fatal(err)
	}
	bin, home := t.TempDir(), t.TempDir()
	for name, dir := range map[string]string{"sidecar": "../sidecar", "bearerguard": ".", "app": "../../hack/e2e/app"} {
		args := []string{"build", "-o", filepath.Join(bin, name), dir}
		if name == "sidecar" {
			args = slices.Insert(args, 1, "-tags", "grpcnotrace")
		}
		if out, err := exec.CommandContext(t.Context(), "go", args...).CombinedOutput(); err != nil { //nolint:gosec // a test
			t.Fatalf("%v\n%s", err, out)
		}
	}
	section, err := walk.Section(string(page), "## Without Kubernetes")
	if err != nil {
		t.Fatal(err)
	}
	blocks := walk.Blocks(section)
	script := walk.Script("set -eu\nend() { kill $(jobs -p); wait; }\ntrap end EXIT", blocks)
	ports := strings.NewReplacer(
		"127.0.0.1:8080", freeport.For(t), "127.0.0.1:9000", freeport.For(t), "127.0.0.1:15081", freeport.For(t),
		"go build -o bin/app ./hack/e2e/app\nexport PATH=$PWD/bin:$PATH\n", "",
	)
	shell := exec.CommandContext(t.Context(), "bash", "-c", ports.Replace(script)) //nolint:gosec // a test
	shell.Dir = home
	shell.Env = append(os.Environ(), "HOME="+home, "PATH="+bin+":"+os.Getenv("PATH"), "LC_ALL=C.UTF-8", "NO_COLOR=1")
	out, err := shell.Output()
	if err != nil {
		log, _ := os.ReadFile(filepath.Join(home, "guard", "sidecar.log"))
		t.Fatalf("%v\n%s\n%s", err, out, log)
	}
	results, outputs := walk.Results(string(out)), 0
	if len(results) != len(blocks) {
		t.Fatalf("%d blocks, of which %d ran", len(blocks), len(results))
	}
	for i, b := range blocks {
		if b.Want != "" {
			outputs++
		}
		if err := b.Judge(results[i]); err != nil {
			t.Errorf("%s: %v", b.Name(), err)
		}
	}
	if outputs < 6 {
		t.Errorf("%d outputs", outputs)
	}
}

// standalone are the arguments of "sidecar run" in the samples for machines without Kubernetes, by their file.
func standalone(t *testing.T) map[string][]string {
	t.Helper()
	const dir = repository + "/config/samples/standalone/"
	unit, err := os.ReadFile(dir + "systemd/bearerguard.service")
	if err != nil {
		t.Fatal(err)
	}
	start := regexp.MustCompile(`(?m)^ExecStart=/usr/local/bin/sidecar run (.*)$`).FindStringSubmatch(string(unit))
	if start == nil {
		t.Fatal("the unit does not start the sidecar")
	}
	text, err := os.ReadFile(dir + "compose/compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var compose struct {
		Services map[string]struct {
			Command []string `json:"command"`
		} `json:"services"`
	}
	if err := yaml.Unmarshal(text, &compose); err != nil {
		t.Fatal(err)
	}
	command := compose.Services["sidecar"].Command
	if len(command) == 0 || command[0] != "run" {
		t.Fatalf("compose runs %q", command)
	}
	return map[string][]string{"bearerguard.service": strings.Fields(start[1]), "compose.yaml": command[1:]}
}

// The samples for machines without Kubernetes give the sidecar flags that it takes, and the same ones: those with which the test above runs it.
func TestStandaloneSamples(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join(repository, "docs", "getting-started.md"))
	if err != nil {
		t.Fatal(err)
	}
	run := regexp.MustCompile(`(?m)^sidecar run (.*) 2> sidecar.log &$`).FindStringSubmatch(string(page))
	if run == nil {
		t.Fatal("the page does not run the sidecar")
	}
	names := func(args []string) (out []string) {
		for _, a := range args {
			name, _, _ := strings.Cut(a, "=")
			out = append(out, name)
		}
		return out
	}
	for file, args := range standalone(t) {
		if got, want := names(args), names(strings.Fields(run[1])); !slices.Equal(got, want) {
			t.Errorf("%s has the flags %q, the page %q", file, got, want)
		}
		for i, a := range args {
			args[i] = strings.Replace(a, "/etc/bearerguard/policies", t.TempDir(), 1)
		}
		fs := pflag.NewFlagSet(file, pflag.ContinueOnError)
		conf := config.Flags(fs)
		if err := fs.Parse(args); err != nil {
			t.Errorf("%s: %v", file, err)
		} else if _, err := conf(); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

// The unit is one that systemd takes, and lets the service do little.
func TestSystemdUnit(t *testing.T) {
	t.Parallel()
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("there is no systemd-analyze on this machine")
	}
	text, err := os.ReadFile(repository + "/config/samples/standalone/systemd/bearerguard.service")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	program, unit := filepath.Join(dir, "sidecar"), filepath.Join(dir, "bearerguard.service")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"), 0o700); err != nil { //nolint:gosec // it has to look like a program
		t.Fatal(err)
	}
	if err := os.WriteFile(unit, []byte(strings.ReplaceAll(string(text), "/usr/local/bin/sidecar", program)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"verify", "--man=no", unit}, {"security", "--offline=true", "--threshold=20", "--no-pager", unit}} {
		if out, err := exec.CommandContext(t.Context(), analyze, args...).CombinedOutput(); err != nil { //nolint:gosec // a test
			t.Errorf("systemd-analyze %s: %v\n%s", fmt.Sprint(args), err, out)
		}
	}
}
