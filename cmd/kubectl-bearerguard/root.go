package main

import (
	"fmt"
	"io"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/output"
)

// version is set by the linker; a plain "go install" leaves it empty and the build information is used.
var version string

const rootLong = `Bearerguard lets a request through to an app only if the Bearer token it carries is genuine and its claims
satisfy the AuthPolicies that apply. This program helps to write such policies, to try them, and to see what they do.

The exit code is 0 if all is well or the answer is yes, 2 if the answer is no, and 1 for an error.`

// newRoot builds the command tree. name is how the program was called; now is its clock.
func newRoot(name string, now func() time.Time) *cobra.Command {
	root := &cobra.Command{
		Use:     "bearerguard",
		Short:   "Work with Bearerguard's policies and tokens",
		Long:    rootLong,
		Version: versionText(),
		Example: `  # May this token read an order?
  bearerguard check -f policies/ --token "$TOKEN" --request 'GET /orders/1'`,
		Annotations:       map[string]string{cobra.CommandDisplayNameAnnotation: name},
		SilenceUsage:      true,
		SilenceErrors:     true,
		DisableAutoGenTag: true,
		PersistentPreRunE: flagGroups,
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		if strings.HasPrefix(err.Error(), "unknown shorthand flag") && strings.Contains(cmd.Use, "[") {
			err = fmt.Errorf("%w; a value that begins with a dash goes behind --, after all flags", err)
		}
		return withHelp(cmd, err)
	})
	setHelp(root)
	root.SetVersionTemplate("bearerguard {{.Version}}\n")
	token := newToken(now)
	token.AddCommand(newKeys(), newProof(now))
	addGroup(root, "policies", "Policies, without a cluster:",
		newCheck(now),
		newConvert(),
		newGenerate(),
		newInject(),
		newLint(),
		newPlayground(now),
	)
	addGroup(root, "tokens", "Tokens for development:", token)
	addGroup(root, "cluster", "What runs in a cluster:", newStatus(now), newDashboard(now), newExplain(now), newLogs(), newSuggest(), newKeySources(now), newRevoke(now), newUpgradeSidecars(), newCheckCluster(now))
	addGroup(root, "program", "This program:", newVersion())
	addCompletion(root)
	root.SetHelpCommandGroupID("program")
	root.SetCompletionCommandGroupID("program")
	return root
}

// addGroup adds commands under a heading of the help text.
func addGroup(root *cobra.Command, id, title string, commands ...*cobra.Command) {
	root.AddGroup(&cobra.Group{ID: id, Title: title})
	for _, c := range commands {
		c.GroupID = id
		root.AddCommand(c)
	}
}

func newVersion() *cobra.Command {
	var format output.Format
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Example: "  bearerguard version\n  bearerguard version -o json | jq -r .version",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return format.Value(cmd.OutOrStdout(), map[string]string{"version": versionText()}, func(w io.Writer, _ output.Look) {
				fmt.Fprintln(w, "bearerguard", versionText())
			})
		},
	}
	output.AddFlag(cmd, &format, output.FormatText, output.FormatJSON, output.FormatYAML)
	return cmd
}

const completionExample = `  # In this shell, and in each new one
  source <(bearerguard completion bash)
  echo 'source <(bearerguard completion bash)' >> ~/.bashrc

  # For "kubectl bearerguard": kubectl asks a program of this name
  ln -s kubectl-bearerguard ~/.local/bin/kubectl_complete-bearerguard`

// addCompletion adds cobra's command, with an example, and an error for a shell that it does not know.
func addCompletion(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		if c.Name() != "completion" {
			continue
		}
		c.Example = completionExample
		c.Args = cobra.ArbitraryArgs
		c.RunE = func(cmd *cobra.Command, args []string) error {
			return withHelp(cmd, fmt.Errorf("completion: %q is no shell that is known; want %s", strings.Join(args, " "), strings.Join(subcommands(cmd), ", ")))
		}
	}
}

func versionText() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}
