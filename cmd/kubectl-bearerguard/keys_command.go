package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/cluster"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/exit"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/fleet"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/output"
)

const keySourcesLong = `Show where the keys of issuers are from, when they were last read, and what is wrong with them.

It is what the controller has written into the policies' statuses. STATE is Current; Stale, if the source cannot be read and
the last good keys stay in use; or Missing, if there are none, and tokens of the issuer get 503.

The exit code is 0 if all keys are Current, and 2 if some are not.`

func newKeySources(now func() time.Time) *cobra.Command {
	var format output.Format
	var f *cluster.Flags
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "Show the key sources of issuers, their age and their errors",
		Long:  keySourcesLong,
		Example: `  bearerguard keys -n shop

  # Which of all are not as they should be?
  bearerguard keys -A -o json | jq '.[] | select(.state != "Current")'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := f.Client()
			if err != nil {
				return err
			}
			progress := output.NewProgress(cmd.ErrOrStderr(), "asking the cluster")
			defer progress.Done()
			policies, err := policiesOf(cmd.Context(), c, f)
			if err != nil {
				return err
			}
			progress.Done()
			all, fine := []fleet.Keys{}, true
			for i := range policies {
				all = append(all, fleet.KeysOf(&policies[i])...)
			}
			for i := range all {
				fine = fine && all[i].State == v1alpha1.KeysCurrent
			}
			if err := format.Value(cmd.OutOrStdout(), all, func(w io.Writer, look output.Look) { writeKeys(w, look, all, now()) }); err != nil {
				return err
			}
			if !fine {
				return exit.ErrNo
			}
			return nil
		},
	}
	output.AddFlag(cmd, &format, output.FormatTable, output.FormatJSON, output.FormatYAML)
	f = cluster.AddFlags(cmd, cluster.AnyNamespaces)
	return cmd
}

func writeKeys(w io.Writer, look output.Look, all []fleet.Keys, now time.Time) {
	if len(all) == 0 {
		fmt.Fprintln(w, "No policy here has an issuer.")
		return
	}
	table := output.NewTable("NAMESPACE", "POLICY", "ISSUER", "STATE", "KEYS", "READ", "WITHOUT", "SOURCE", "PROBLEM")
	for i := range all {
		k := &all[i]
		state := output.Cell{Text: string(k.State), Style: output.Good}
		switch k.State {
		case v1alpha1.KeysCurrent:
		case v1alpha1.KeysStale:
			state.Style = output.Warn
		case v1alpha1.KeysMissing:
			state.Style = output.Bad
		default:
			state = output.Cell{Text: "unknown", Style: output.Warn}
		}
		read := "-"
		if k.LastFetched != nil {
			read = age(k.Age(now)) + " ago"
		}
		table.Row(output.Text(k.Namespace), output.Text(k.Policy), output.Text(k.Issuer), state, output.Count(int(k.Keys)), output.Text(read),
			unwanted(k.PodsWithout, output.Bad), output.Text(k.Source), output.Cell{Text: k.Message, Style: output.Bad})
	}
	table.Write(w, look)
}
