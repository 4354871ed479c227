package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/exit"
)

// converted runs a command of the page by what it says of its exit code, and returns what goes to standard output and to standard error.
func converted(t *testing.T, args []string, code int) (out, notes string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	root := newRoot("bearerguard", time.Now)
	root.SetArgs(args)
	root.SetOut(&stdout)
	root.SetErr(&stderr)
	if err := root.ExecuteContext(t.Context()); exit.Code(err) != code {
		t.Errorf("%q: exit code %d (%v), the page says %d", args, exit.Code(err), err, code)
	}
	return stdout.String(), stderr.String()
}

// Each conversion that docs/migrating.md shows ends as the page says, with its notes and its policies, line by line up to "...". What comes of it
// passes lint without an error. With -update the page gets what there is.
func TestConversionsOfTheMigratingPage(t *testing.T) { // not parallel: it changes the directory
	name, err := filepath.Abs(filepath.Join(repository, "docs", "migrating.md"))
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(filepath.Join(repository, "config", "samples", "migrating"))
	blocks := strings.Split(string(page), "```console\n")
	seen := map[string]bool{}
	for i, block := range blocks[1:] {
		block, _, _ = strings.Cut(block, "```\n")
		code := 0
		if strings.Contains(lastLine(blocks[i]), "(exit code 2)") {
			code = 2
		}
		convert, show, ok := strings.Cut(block, "$ sed 1,/---/d ")
		if !ok {
			t.Fatalf("the block converts and shows nothing:\n%s", block)
		}
		command, wantNotes, _ := strings.Cut(convert, "\n")
		command, file, _ := strings.Cut(strings.TrimPrefix(command, "$ "), " > ")
		shown, want, _ := strings.Cut(show, "\n")
		if shown != file {
			t.Errorf("%s is written, and %s is shown", file, shown)
		}
		out, notes := converted(t, words(command)[1:], code)
		_, policies, _ := strings.Cut(out, "---\n")
		start, cut := strings.CutSuffix(want, "...\n")
		if *update {
			if cut {
				policies = firstLines(policies, strings.Count(start, "\n")) + "...\n"
			}
			page = []byte(strings.Replace(strings.Replace(string(page), wantNotes+"$ sed", notes+"$ sed", 1), shown+"\n"+want+"```", shown+"\n"+policies+"```", 1))
			continue
		}
		if notes != wantNotes {
			t.Errorf("%s\nnotes\n%s\nthe page has\n%s", command, notes, wantNotes)
		}
		if policies != want && (!cut || !strings.HasPrefix(policies, start)) {
			t.Errorf("%s\npolicies\n%s\nthe page has\n%s", command, policies, want)
		}
		result := filepath.Join(t.TempDir(), "result.yaml")
		if err := os.WriteFile(result, []byte(out), 0o600); err != nil {
			t.Fatal(err)
		}
		if said, err := run(t, "lint", "-f", result, "--fail-on", "error"); err != nil {
			t.Errorf("%s: %v\n%s", command, err, said)
		}
		seen[words(command)[3]] = true
	}
	if *update {
		if err := os.WriteFile(name, page, 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	samples, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range samples {
		if !seen[s.Name()] {
			t.Errorf("the page does not convert %s", s.Name())
		}
	}
}

// lastLine is the last line of a text that has something in it.
func lastLine(text string) string {
	text = strings.TrimRight(text, "\n")
	return text[strings.LastIndex(text, "\n")+1:]
}

// firstLines are the first lines of a text.
func firstLines(text string, n int) string {
	return strings.Join(strings.SplitAfter(text, "\n")[:n], "")
}
