// Command kubectl-bearerguard is the command line of Bearerguard: it mints development tokens and decides requests
// offline. It runs as "kubectl bearerguard" when it is on the PATH under this name, and as plain "bearerguard".
package main

import (
	"context"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/exit"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/output"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // the second signal ends a command that finishes what it is at
	name, first := invokedAs(os.Args[0])
	root := newRoot(name, time.Now)
	root.SetArgs(append(first, os.Args[1:]...))
	root.SetIn(os.Stdin)
	root.SetOut(os.Stdout)
	root.SetErr(os.Stderr)
	if err := root.ExecuteContext(ctx); err != nil {
		if !exit.Silent(err) {
			output.Printf(os.Stderr, "error: %s\n", output.Lines(err.Error()))
		}
		stop()
		os.Exit(exit.Code(err))
	}
}

// invokedAs is how people call this program, for help texts, and the arguments that this name stands for: kubectl completes
// the arguments of a plugin by a program named kubectl_complete-PLUGIN.
func invokedAs(program string) (name string, first []string) {
	switch base := strings.TrimSuffix(filepath.Base(program), ".exe"); {
	case base == "kubectl_complete-bearerguard":
		return "kubectl bearerguard", []string{cobra.ShellCompRequestCmd}
	case strings.HasPrefix(base, "kubectl-"):
		return "kubectl bearerguard", nil
	}
	return "bearerguard", nil
}
