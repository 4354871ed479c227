package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/exit"
)

// Whoever gives an argument that a command does not take is told what to give instead, and where the help is.
func TestArgumentsThatNobodyTakes(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"lint policies/":               "a file is given with -f policies/",
		"check policies/":              "a file is given with -f policies/",
		"convert istio.yaml":           "a file is given with -f istio.yaml",
		"generate openapi.yaml":        "a document is given with --openapi openapi.yaml",
		"status shop":                  "a namespace is given with -n shop",
		"keys shop":                    "a namespace is given with -n shop",
		"dashboard shop":               "a namespace is given with -n shop",
		"token mint":                   "want one of its commands (keys, proof), or flags",
		"playground 8080":              "want flags alone",
		"version 1":                    "want flags alone",
		"logs deploy/a deploy/b":       "takes one POD | TYPE/NAME at a time, and not 2: deploy/a, deploy/b",
		"completion tcsh":              `"tcsh" is no shell that is known; want bash, fish, powershell, zsh`,
		"status -A -n shop":            "--all-namespaces and --namespace do not go together; give one of them",
		"inject -f x --check --diff":   "--check and --diff do not go together",
		"explain deploy/a -n shop":     "want --request 'GET /orders/1' for a request that might be, or --request-id",
		"check-cluster kubernetes dns": `there is no check "dns"; want some of kubernetes, nodes, `,
	} {
		said, err := run(t, strings.Fields(line)...)
		if err == nil || exit.Code(err) != 1 {
			t.Errorf("%s: %v\n%s", line, err, said)
			continue
		}
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %s", line, err, want)
		}
	}
	every(newRoot("bearerguard", time.Now), func(c *cobra.Command) {
		if err := c.ValidateArgs([]string{"what", "is", "this"}); err != nil && !strings.Contains(err.Error(), "see: ") && c.HasParent() {
			t.Errorf("%s: %v", c.CommandPath(), err)
		}
	})
}

// A help text is no wider than the screen, but for examples and for words that cannot be broken.
func TestHelpFitsTheScreen(t *testing.T) {
	t.Parallel()
	every(newRoot("bearerguard", time.Now), func(c *cobra.Command) {
		var b strings.Builder
		writeHelp(&b, c, 80)
		text, _, _ := strings.Cut(b.String(), "\nUsage:")
		for line := range strings.Lines(text) {
			if len(line) > 81 && strings.Contains(strings.TrimSpace(line[:81]), " ") {
				t.Errorf("%s: %d columns: %s", c.CommandPath(), len(line)-1, line)
			}
		}
	})
}

// Nothing to look at is no good news: a folder with a typing error in its name passes no check.
func TestNothingToLookAt(t *testing.T) {
	t.Parallel()
	empty := t.TempDir()
	foreign := filepath.Join(t.TempDir(), "configmap.yaml")
	write := func(file, text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(foreign, "apiVersion: v1\nkind: Service\nmetadata: {name: orders}\nspec: {ports: [{port: 80}]}\n")
	cases := filepath.Join(t.TempDir(), "cases.yaml")
	write(cases, "policies: []\ntests: []\n")
	for line, want := range map[string]string{
		"lint -f " + empty:                  "no file in it ends in .yaml",
		"convert -f " + empty:               "no file in it ends in .yaml",
		"inject --check -f " + empty:        "no file in it ends in .yaml",
		"check --tests " + empty:            "no file in it ends in .yaml",
		"check --request GET_/ -f " + empty: "no file in it ends in .yaml",
		"lint -f " + foreign:                "the files hold nothing to look at; want AuthPolicies",
		"lint -o sarif -f " + foreign:       "the files hold nothing to look at; want AuthPolicies",
		"convert -f " + foreign:             "nothing is converted: ",
		"convert -o json -f " + foreign:     "nothing is converted: ",
		"inject --check -f " + foreign:      "the files hold nothing that has pods",
		"check --tests " + cases:            "tests: there are none",
	} {
		args := strings.Fields(line)
		for i := range args {
			args[i] = strings.ReplaceAll(args[i], "_", " ")
		}
		if said, err := run(t, args...); err == nil || exit.Code(err) != 1 || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %s\n%s", line, err, want, said)
		}
	}
}

// Where nothing names a cluster, each command that asks one says how to name it.
func TestNoClusterIsNamed(t *testing.T) { // not parallel: it changes the environment
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	for _, line := range []string{
		"status", "keys", "logs", "check-cluster", "upgrade-sidecars", "dashboard", "explain deploy/a --request-id x", "suggest deploy/a",
		"revoke --list", "revoke jti x --issuer https://a.example --expires 1h",
	} {
		if said, err := run(t, strings.Fields(line)...); err == nil || !strings.Contains(err.Error(), "no cluster is named") {
			t.Errorf("%s: %v\n%s", line, err, said)
		}
	}
}
