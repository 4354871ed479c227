package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/exit"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/findings"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/output"
)

const lintLong = `Find what is wrong in policies, and what is valid and probably not meant.

Errors are what the cluster and the sidecar refuse. Warnings are what they take, and what can never do what it seems to
say, or says more than is wise: rules that another rule leaves nothing to, an anonymous rule over every path, an issuer
without audiences, an HMAC secret that several workloads share, deny rules that clients get round, scopes that no issuer
of the rule grants. Those of one policy are what kubectl apply prints, too.

The exit code is 2 if there are findings of the level of --fail-on, or above, and 0 if there are none. Files without a policy are an
error.`

const lintExample = `  bearerguard lint -f policies/

  # For a code scanning service; fail on errors alone.
  bearerguard lint -f policies/ -o sarif --fail-on error > bearerguard.sarif

  # What is in the cluster.
  kubectl get authpolicies -A -o yaml | bearerguard lint -f -`

// formatSARIF is that of code scanning services.
const formatSARIF = "sarif"

func newLint() *cobra.Command {
	var files []string
	var namespace, failOn string
	var format output.Format
	cmd := &cobra.Command{
		Use:     "lint",
		Short:   "Find mistakes in policies, and what is probably not meant",
		Long:    lintLong,
		Example: lintExample,
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if len(files) == 0 {
				return fmt.Errorf("--filename: is missing; want a file or directory with an AuthPolicy")
			}
			level := findings.Level(failOn)
			if level != findings.Warning && level != findings.Error {
				return fmt.Errorf("--fail-on: %q is neither warning nor error", failOn)
			}
			manifests, err := readManifests(files, cmd.InOrStdin())
			if err != nil {
				return fmt.Errorf("--filename: %w", err)
			}
			found, err := findings.Find(manifests, namespace)
			if err != nil {
				return fmt.Errorf("--filename: %w", err)
			}
			if err := writeFindings(cmd.OutOrStdout(), &format, found); err != nil {
				return err
			}
			if findings.Count(found, findings.Error) > 0 || level == findings.Warning && len(found) > 0 {
				return exit.ErrNo
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringArrayVarP(&files, "filename", "f", nil, "`file` or directory with the policies; repeatable (- reads standard input)")
	flags.StringVarP(&namespace, "namespace", "n", "default", "namespace of objects that name none")
	flags.StringVar(&failOn, "fail-on", string(findings.Warning), "`level` of findings from which on the exit code is 2: warning or error")
	_ = cmd.RegisterFlagCompletionFunc("fail-on", cobra.FixedCompletions([]string{string(findings.Warning), string(findings.Error)}, cobra.ShellCompDirectiveNoFileComp))
	output.AddFlag(cmd, &format, output.FormatTable, output.FormatJSON, output.FormatYAML, formatSARIF)
	return cmd
}

func writeFindings(w io.Writer, format *output.Format, found []findings.Finding) error {
	if format.String() == formatSARIF {
		return output.JSON(w, findings.SARIF(found, versionText()))
	}
	if found == nil {
		found = []findings.Finding{}
	}
	return format.Value(w, map[string]any{"findings": found}, func(w io.Writer, l output.Look) { findings.Table(w, l, found) })
}
