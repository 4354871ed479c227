package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/exit"
)

// Each command of docs/cli.md says what the page says, line by line up to "...".
func TestCommandsOfTheCLIPage(t *testing.T) { // not parallel: it changes the directory
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "cli.md"))
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(filepath.Join("..", ".."))
	before, _, _ := strings.Cut(string(page), marker)
	commands := 0
	for before != "" {
		var block string
		if _, before, _ = strings.Cut(before, "```console\n"); before == "" {
			break
		}
		block, before, _ = strings.Cut(before, "```\n")
		for _, one := range strings.Split("\n"+block, "\n$ ")[1:] {
			command, want, _ := strings.Cut(one, "\n")
			commands++
			said, err := run(t, words(command)[1:]...)
			if err != nil && exit.Code(err) == 1 && !errors.Is(err, exit.ErrSaid) {
				said += "error: " + err.Error() + "\n"
			}
			if start, cut := strings.CutSuffix(strings.TrimSuffix(want, "\n"), "..."); cut && strings.HasPrefix(said, start) {
				continue
			}
			if strings.TrimRight(said, "\n") != strings.TrimRight(want, "\n") {
				t.Errorf("%s\nsays\n%s\nthe page has\n%s", command, said, want)
			}
		}
	}
	if commands < 3 {
		t.Errorf("%d commands", commands)
	}
}
