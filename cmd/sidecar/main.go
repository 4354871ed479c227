// Command sidecar guards one app: it verifies the Bearer token of each request and forwards what the rules allow.
//
//	sidecar run       takes requests, until it is told to stop
//	sidecar serve     answers gateways that ask about requests, and forwards none
//	sidecar leave     tells the one that runs that its pod is about to stop
//	sidecar capture   redirects the pod's inbound ports to it, in an init container
//	sidecar version   prints the release
package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/bearerguard/bearerguard/api/logqueue"
)

// version is set by the linker.
var version = "dev"

func main() { os.Exit(execute()) }

// execute returns the exit code. Nothing that the program says waits for whoever reads it, but for its last words.
func execute() int {
	lines := logqueue.New(os.Stderr)
	defer lines.Flush(logqueue.LastWords)
	if err := root(lines).Execute(); err != nil {
		fmt.Fprintln(lines, "sidecar:", err)
		return 1
	}
	return 0
}

func root(lines *logqueue.Queue) *cobra.Command {
	c := &cobra.Command{
		Use:           "sidecar",
		Short:         "Lets requests through to an app only with a genuine Bearer token that the rules allow.",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	c.CompletionOptions.DisableDefaultCmd = true
	c.AddCommand(runCommand(lines), serveCommand(lines), leaveCommand(), captureCommand(), &cobra.Command{
		Use: "version", Short: "Print the release.", Args: cobra.NoArgs,
		Run: func(c *cobra.Command, _ []string) { fmt.Fprintln(c.OutOrStdout(), version) },
	})
	return c
}
