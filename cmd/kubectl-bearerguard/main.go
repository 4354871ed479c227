// Command kubectl-bearerguard is the command line of Bearerguard: it mints development tokens and decides requests
// offline. It runs as "kubectl bearerguard" when it is on the PATH under this name, and as plain "bearerguard".
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := newRoot(invokedAs(os.Args[0]), time.Now)
	root.SetArgs(os.Args[1:])
	root.SetIn(os.Stdin)
	root.SetOut(os.Stdout)
	root.SetErr(os.Stderr)
	if err := root.ExecuteContext(ctx); err != nil {
		if !errors.Is(err, errRefused) { // that has been said already
			fmt.Fprintf(os.Stderr, "error: %v\n", err)
		}
		stop()
		os.Exit(exitCode(err))
	}
}

// invokedAs is how people call this program, for help texts.
func invokedAs(program string) string {
	if strings.HasPrefix(filepath.Base(program), "kubectl-") {
		return "kubectl bearerguard"
	}
	return "bearerguard"
}
