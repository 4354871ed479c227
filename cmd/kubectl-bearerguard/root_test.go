package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/reference"
)

var update = flag.Bool("update", false, "write what is generated: the reference in docs/cli.md, and golden files")

// TestMain gives the program a locale, by which text has marks beyond ASCII or not.
func TestMain(m *testing.M) {
	if err := os.Setenv("LC_ALL", "C.UTF-8"); err != nil {
		panic(err)
	}
	m.Run()
	stopLive()
}

// every calls f with each command but those that cobra adds.
func every(c *cobra.Command, f func(*cobra.Command)) {
	f(c)
	for _, sub := range c.Commands() {
		if sub.Name() != "help" && sub.Name() != "completion" {
			every(sub, f)
		}
	}
}

func TestEveryCommandExplainsItself(t *testing.T) {
	t.Parallel()
	root := newRoot("bearerguard", time.Now)
	every(root, func(c *cobra.Command) {
		if c.Short == "" || c.Example == "" {
			t.Errorf("%s lacks a short description or an example", c.CommandPath())
		}
		if c.Parent() == root && c.GroupID == "" {
			t.Errorf("%s is in no group", c.CommandPath())
		}
		for line := range strings.Lines(c.Example) {
			if len(strings.TrimRight(line, "\n")) > 140 {
				t.Errorf("%s: a line of its examples has %d bytes: %s", c.CommandPath(), len(line), line)
			}
		}
	})
}

func TestNamesOfTheProgram(t *testing.T) {
	t.Parallel()
	for program, want := range map[string]struct {
		name  string
		first []string
	}{
		"/usr/local/bin/kubectl-bearerguard":          {name: "kubectl bearerguard"},
		"/usr/local/bin/kubectl_complete-bearerguard": {name: "kubectl bearerguard", first: []string{"__complete"}},
		"kubectl-bearerguard.exe":                     {name: "kubectl bearerguard"},
		"bin/bearerguard":                             {name: "bearerguard"},
	} {
		name, first := invokedAs(program)
		if name != want.name || !slices.Equal(first, want.first) {
			t.Errorf("%s: %q, %q; want %q, %q", program, name, first, want.name, want.first)
		}
	}
	text, err := run(t, "__complete", "check", "--output", "")
	if err != nil {
		t.Fatal(err)
	}
	if want := "text\njson\nyaml\n"; !strings.HasPrefix(text, want) {
		t.Errorf("completion of --output is\n%s", text)
	}
}

const marker = "<!-- From here on generated from the program: go test ./cmd/kubectl-bearerguard -run TestReference -update -->\n"

// TestReference holds the second part of docs/cli.md to the commands. `make manifests` runs it with -update.
func TestReference(t *testing.T) {
	t.Parallel()
	page := filepath.Join("..", "..", "docs", "cli.md")
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, got, ok := strings.Cut(string(text), marker)
	if !ok {
		t.Fatalf("%s lacks the line %s", page, marker)
	}
	var b bytes.Buffer
	b.WriteString("\n")
	reference.Write(&b, newRoot("bearerguard", time.Now))
	want := strings.TrimRight(b.String(), "\n") + "\n"
	if *update {
		if err := os.WriteFile(page, []byte(before+marker+want), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s is not up to date; run make manifests (-want +got):\n%s", page, diff)
	}
}
