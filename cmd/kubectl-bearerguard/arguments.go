package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/cluster"
)

// noArguments refuses arguments of a command that takes flags alone, and names the flag that was probably meant.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var want string
	switch {
	case cmd.HasAvailableSubCommands():
		want = "want one of its commands (" + strings.Join(subcommands(cmd), ", ") + "), or flags"
	case cmd.Flags().Lookup("openapi") != nil:
		want = "a document is given with --openapi " + args[0]
	case cmd.Flags().Lookup("filename") != nil:
		want = "a file is given with -f " + args[0]
	case cmd.Flags().Lookup("namespace") != nil && cmd.Flags().Lookup("context") != nil:
		want = "a namespace is given with -n " + args[0]
	default:
		want = "want flags alone"
	}
	return withHelp(cmd, fmt.Errorf("%s does not know what %q is: %s", cmd.CommandPath(), args[0], want))
}

// oneTarget takes a pod or a workload, or nothing.
func oneTarget(cmd *cobra.Command, args []string) error {
	if len(args) < 2 {
		return nil
	}
	return withHelp(cmd, fmt.Errorf("%s takes one %s at a time, and not %d: %s", cmd.CommandPath(), cluster.Target, len(args), strings.Join(args, ", ")))
}

func subcommands(cmd *cobra.Command) (names []string) {
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	return names
}

// withHelp says where the help is.
func withHelp(cmd *cobra.Command, err error) error {
	return fmt.Errorf("%w\nsee: %s --help", err, cmd.CommandPath())
}

// exclusiveGroups is where cobra keeps which flags exclude each other. Were it elsewhere, its own words would be read.
const exclusiveGroups = "cobra_annotation_mutually_exclusive"

// flagGroups says of flags that exclude each other which were given, before cobra does in words about groups.
func flagGroups(cmd *cobra.Command, _ []string) error {
	for _, group := range exclusive(cmd) {
		var given []string
		for name := range strings.FieldsSeq(group) {
			if cmd.Flags().Changed(name) {
				given = append(given, "--"+name)
			}
		}
		slices.Sort(given)
		if len(given) > 1 {
			return withHelp(cmd, fmt.Errorf("%s do not go together; give one of them", strings.Join(given, " and ")))
		}
	}
	return nil
}

// exclusive are the groups of a command's flags, each once, in order.
func exclusive(cmd *cobra.Command) (groups []string) {
	for _, name := range flagNames(cmd) {
		groups = append(groups, cmd.Flags().Lookup(name).Annotations[exclusiveGroups]...)
	}
	slices.Sort(groups)
	return slices.Compact(groups)
}

// flagNames are the names of a command's flags, in order.
func flagNames(cmd *cobra.Command) (names []string) {
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	return names
}
