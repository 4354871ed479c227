package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// word is a word of a command line of docs/mcp.md: in single quotes, in double ones, or bare.
var word = regexp.MustCompile(`'([^']*)'|"([^"]*)"|([^\s'"]+)`)

func words(line string) (out []string) {
	for _, m := range word.FindAllStringSubmatch(line, -1) {
		out = append(out, m[1]+m[2]+m[3])
	}
	return out
}

// fenced returns the first block of a kind.
func fenced(t *testing.T, text, kind string) string {
	t.Helper()
	_, rest, ok := strings.Cut(text, "```"+kind+"\n")
	if !ok {
		t.Fatalf("no block of %s", kind)
	}
	block, _, _ := strings.Cut(rest, "```")
	return block
}

// Each command of docs/mcp.md does what the page says, with the policy that is there.
func TestCommandsOfTheMCPPage(t *testing.T) { // not parallel: it changes the directory
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "mcp.md"))
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	if err := os.WriteFile("policy.yaml", []byte(fenced(t, string(page), "yaml")), 0o600); err != nil {
		t.Fatal(err)
	}
	token, said, commands := "", "", 0
	for line := range strings.Lines(fenced(t, string(page), "console")) {
		line = strings.TrimSpace(line)
		command, isCommand := strings.CutPrefix(line, "$ ")
		if !isCommand {
			if got, _, _ := strings.Cut(said, "\n"); got != line {
				t.Errorf("it says %q; want %q\n%s", got, line, said)
			}
			continue
		}
		commands++
		minted := strings.TrimSuffix(strings.TrimPrefix(command, "TOKEN=$("), ")")
		said, err = run(t, words(strings.ReplaceAll(minted, "$TOKEN", token))[1:]...)
		if err != nil && !strings.Contains(said, "REFUSED") {
			t.Fatalf("%s: %v\n%s", command, err, said)
		}
		if strings.Contains(said, "warning:") {
			t.Errorf("%s: %s", command, said)
		}
		if minted != command {
			token = strings.TrimSpace(said)
		}
	}
	if commands != 9 {
		t.Errorf("%d commands", commands)
	}
}
