// Command controller is the control plane: it watches AuthPolicy and TokenRevocation objects, resolves the keys that they
// name, pushes rules to sidecars, and injects sidecars into pods.
package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/bearerguard/bearerguard/api/logqueue"
)

// version is set by the linker.
var version = "dev"

func main() { os.Exit(execute()) }

// execute returns the exit code. Nothing that the program says waits for whoever reads it, but for its last words: a replica that waited
// would push nothing, and go on beside the next leader.
func execute() int {
	lines := logqueue.New(os.Stderr)
	defer lines.Flush(logqueue.LastWords)
	if err := root(lines).ExecuteContext(ctrl.SetupSignalHandler()); err != nil {
		fmt.Fprintln(lines, "controller:", err)
		return 1
	}
	return 0
}

func root(lines *logqueue.Queue) *cobra.Command {
	c := &cobra.Command{
		Use:   "controller",
		Short: "Compiles AuthPolicies, pushes them to sidecars, and injects sidecars into pods.",
		Long: `Compile AuthPolicies, push them to sidecars, and inject sidecars into pods.

Every replica serves webhooks and sidecars; the one that leads writes status. It finds its cluster as kubectl does: by
$KUBECONFIG, or by its service account inside a pod.`,
		Version:       version,
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	c.CompletionOptions.DisableDefaultCmd = true
	var f flags
	f.define(c.Flags())
	c.RunE = func(c *cobra.Command, _ []string) error {
		conf, err := f.config()
		if err != nil {
			return err
		}
		return run(c.Context(), conf, lines)
	}
	return c
}
