package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/cluster"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/clustercheck"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/exit"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/output"
)

const checkClusterLong = `Check whether Bearerguard can be installed in a cluster (--pre), or works in one: a line for each thing, and a hint for what is
wrong.

%s
Nothing is changed: the policy and the pod that are tried are created by dry run, in the namespace of -n or of the context. What
you may not look at is "unknown", and no failure, unless --strict is given.

The exit code is 0 if nothing has failed, 2 if something has, and 1 for an error. With the names of checks only these are made, so
that each has an exit code of its own.`

const checkClusterExample = `  # Before the installation.
  bearerguard check-cluster --pre

  # Afterwards, with a namespace in which apps are to run.
  bearerguard check-cluster -n shop

  # In a pipeline: warnings fail, too.
  bearerguard check-cluster --strict -o json

  # Does the webhook answer?
  bearerguard check-cluster admission -n shop`

type checkClusterFlags struct {
	cluster   *cluster.Flags
	pre       bool
	strict    bool
	namespace string
	format    output.Format
}

func newCheckCluster(now func() time.Time) *cobra.Command {
	var f checkClusterFlags
	names, about := clustercheck.Names()
	var list strings.Builder
	for i, name := range names {
		fmt.Fprintf(&list, "  %-13s %s\n", name, about[i])
	}
	cmd := &cobra.Command{
		Use:       "check-cluster [CHECK...]",
		Short:     "Check whether a cluster has what is needed, and whether all works",
		Long:      fmt.Sprintf(checkClusterLong, list.String()),
		Example:   checkClusterExample,
		ValidArgs: names,
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.run(cmd, args, now)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.BoolVar(&f.pre, "pre", false, "check before an installation")
	flags.BoolVar(&f.strict, "strict", false, "fail for warnings and for what is unknown, too")
	flags.StringVar(&f.namespace, "release-namespace", cluster.SystemNamespace, "`namespace` of the controller, or where it is to be; one that runs is found")
	output.AddFlag(cmd, &f.format, output.FormatTable, output.FormatJSON, output.FormatYAML)
	f.cluster = cluster.AddFlags(cmd, cluster.OneNamespace)
	return cmd
}

// checkingTime is how long all of it may take.
const checkingTime = time.Minute

func (f *checkClusterFlags) run(cmd *cobra.Command, names []string, now func() time.Time) error {
	if _, err := clustercheck.Run(&clustercheck.Facts{}, names, clustercheck.Lenient); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), checkingTime)
	defer cancel()
	progress := output.NewProgress(cmd.ErrOrStderr(), "looking at the cluster")
	defer progress.Done()
	look, err := newLooking(f, now)
	if err != nil {
		return err
	}
	facts, err := look.facts(ctx, progress)
	if err != nil {
		return err
	}
	lines, err := clustercheck.Run(&facts, names, clustercheck.Strictness(f.strict))
	if err != nil {
		return err
	}
	progress.Done()
	if err := f.format.Value(cmd.OutOrStdout(), lines, func(w io.Writer, look output.Look) { writeChecks(w, look, lines) }); err != nil {
		return err
	}
	if !clustercheck.Fine(lines) {
		return exit.ErrNo
	}
	return nil
}

// writeChecks writes the lines for people: one for each check, its hint below it.
func writeChecks(w io.Writer, look output.Look, lines []clustercheck.Line) {
	styles := map[clustercheck.Verdict]output.Style{
		clustercheck.OK: output.Good, clustercheck.Warning: output.Warn, clustercheck.Failed: output.Bad, clustercheck.Unknown: output.Faint,
	}
	counts := map[clustercheck.Verdict]int{}
	var nodes []output.Node
	for _, l := range lines {
		counts[l.Verdict]++
		n := output.Node{Mark: styles[l.Verdict], Head: fmt.Sprintf("%-13s", l.Check), Style: output.Strong, Text: l.Text}
		if l.Verdict == clustercheck.Unknown {
			n.Text = "not known: " + l.Text
		}
		if l.Hint != "" {
			n.Notes = []string{"  what to do: " + l.Hint}
		}
		nodes = append(nodes, n)
	}
	look.Tree(w, nodes...)
	style, text := output.Good, fmt.Sprintf("%d checks, nothing is wrong", len(lines))
	switch {
	case counts[clustercheck.Failed] > 0:
		style, text = output.Bad, fmt.Sprintf("%d of %d checks failed", counts[clustercheck.Failed], len(lines))
	case counts[clustercheck.Warning] > 0:
		style = output.Warn
	}
	for _, v := range []clustercheck.Verdict{clustercheck.Warning, clustercheck.Unknown} {
		if n := counts[v]; n > 0 {
			text += fmt.Sprintf(", %d %s", n, v)
		}
	}
	output.Printf(w, "\n%s\n", look.Paint(style, text))
}
