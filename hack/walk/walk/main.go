// Command walk runs the commands of sections of a page in one shell, in the folder that it is run in, and prints a line for each block: "ok" if
// it says what the page says, "FAIL" if not. It ends with 1 if one does not.
//
//	go run ./hack/walk/walk -first 'shopt -s expand_aliases' docs/getting-started.md '### Ask it' '### See why'
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"

	"github.com/bearerguard/bearerguard/hack/walk"
)

func main() {
	first := flag.String("first", "", "commands of the shell before those of the page")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	wrong, err := run(ctx, os.Stdout, *first, flag.Args())
	stop()
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "walk:", err)
		os.Exit(1)
	case wrong > 0:
		os.Exit(1)
	}
}

// run returns how many blocks do not say what the page says.
func run(ctx context.Context, w io.Writer, first string, args []string) (wrong int, err error) {
	if len(args) < 2 {
		return 0, errors.New("want a page and headings, such as docs/getting-started.md '### Ask it'")
	}
	page, err := os.ReadFile(args[0])
	if err != nil {
		return 0, err
	}
	var blocks []walk.Block
	for _, heading := range args[1:] {
		section, err := walk.Section(string(page), heading)
		if err != nil {
			return 0, err
		}
		found := walk.Blocks(section)
		if len(found) == 0 {
			return 0, fmt.Errorf("there are no commands under %q", heading)
		}
		blocks = append(blocks, found...)
	}
	var out bytes.Buffer
	shell := exec.CommandContext(ctx, "bash", "-c", walk.Script(first, blocks)) //nolint:gosec // the page is the repository's
	shell.Stdout, shell.Stderr = &out, os.Stderr
	ended := shell.Run()
	results := walk.Results(out.String())
	for i := range blocks {
		if i >= len(results) {
			wrong++
			fmt.Fprintf(w, "FAIL the page: %s: the shell ended before (%v)\n", blocks[i].Name(), ended)
			continue
		}
		if err := blocks[i].Judge(results[i]); err != nil {
			wrong++
			fmt.Fprintf(w, "FAIL the page: %s: %s\n", blocks[i].Name(), strings.ReplaceAll(err.Error(), "\n", "\n     "))
			continue
		}
		fmt.Fprintf(w, "ok   the page: %s\n", blocks[i].Name())
	}
	return wrong, nil
}
