package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/cluster"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/exit"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/fleet"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/output"
)

const statusLong = `Show the policies, what they guard, and what is not as it should be: sidecars that are behind or refuse a policy, selected
pods without a sidecar or that can be reached past it, keys that are old or missing, and sidecars that no policy selects.

It is made of what the controller has written into the policies' statuses, and of the pods. What a sidecar has in force is in
"bearerguard explain".

The exit code is 0 if all is well, and 2 if something is not.`

const statusExample = `  # The namespace of the context.
  bearerguard status

  # All namespaces, and go on.
  bearerguard status -A --watch

  # In a pipeline, after a rollout.
  bearerguard status -n shop -o json || exit 1`

type statusFlags struct {
	cluster *cluster.Flags
	watch   bool
	format  output.Format
}

func newStatus(now func() time.Time) *cobra.Command {
	var f statusFlags
	cmd := &cobra.Command{
		Use:     "status",
		Short:   "Show what is guarded, by what, and what is wrong",
		Long:    statusLong,
		Example: statusExample,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.watch {
				return f.follow(cmd, now)
			}
			progress := output.NewProgress(cmd.ErrOrStderr(), "asking the cluster")
			defer progress.Done()
			report, err := f.gather(cmd.Context())
			if err != nil {
				return err
			}
			progress.Done()
			if err := f.format.Value(cmd.OutOrStdout(), report, func(w io.Writer, look output.Look) { writeStatus(w, look, &report, now()) }); err != nil {
				return err
			}
			if !report.Fine() {
				return exit.ErrNo
			}
			return nil
		},
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().BoolVarP(&f.watch, "watch", "w", false, "go on, and show what changes")
	output.AddFlag(cmd, &f.format, output.FormatTable, output.FormatJSON, output.FormatYAML)
	f.cluster = cluster.AddFlags(cmd, cluster.AnyNamespaces)
	return cmd
}

func (f *statusFlags) gather(ctx context.Context) (fleet.Report, error) {
	c, err := f.cluster.Client()
	if err != nil {
		return fleet.Report{}, err
	}
	policies, err := policiesOf(ctx, c, f.cluster)
	if err != nil {
		return fleet.Report{}, err
	}
	namespace, err := f.cluster.Namespace()
	if err != nil {
		return fleet.Report{}, err
	}
	pods, err := cluster.Pods(ctx, c, namespace, "")
	if err != nil {
		return fleet.Report{}, err
	}
	return fleet.New(policies, pods), nil
}

func policiesOf(ctx context.Context, c client.Client, f *cluster.Flags) ([]v1alpha1.AuthPolicy, error) {
	namespace, err := f.Namespace()
	if err != nil {
		return nil, err
	}
	var list v1alpha1.AuthPolicyList
	if err := c.List(ctx, &list, client.InNamespace(namespace)); err != nil {
		if meta.IsNoMatchError(err) {
			return nil, fmt.Errorf("this cluster knows no AuthPolicy: Bearerguard is not installed there: %w", err)
		}
		return nil, fmt.Errorf("list policies: %w", err)
	}
	return list.Items, nil
}

// lookEvery is how often --watch looks.
const lookEvery = 2 * time.Second

// follow shows the status again whenever it has changed; on a terminal in the place of the one before.
func (f *statusFlags) follow(cmd *cobra.Command, now func() time.Time) error {
	w := cmd.OutOrStdout()
	look := output.LookOf(w, os.Getenv)
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	last := ""
	for {
		report, err := f.gather(cmd.Context())
		switch {
		case cmd.Context().Err() != nil:
			return nil
		case err != nil && last == "":
			return err
		case err != nil:
			fmt.Fprintf(cmd.ErrOrStderr(), "%v\n", err)
		default:
			var b bytes.Buffer
			if err := f.format.Value(&b, report, func(_ io.Writer, _ output.Look) { writeStatus(&b, look, &report, now()) }); err != nil {
				return err
			}
			if text := b.String(); text != last {
				if look.Width > 0 {
					fmt.Fprint(w, "\x1b[H\x1b[2J")
				} else if last != "" {
					fmt.Fprintln(w)
				}
				fmt.Fprint(w, text)
				last = text
			}
		}
		select {
		case <-cmd.Context().Done():
			return nil
		case <-tick.C:
		}
	}
}

// writeStatus writes a report for people.
func writeStatus(w io.Writer, look output.Look, r *fleet.Report, now time.Time) {
	if len(r.Policies) == 0 {
		fmt.Fprintln(w, "There are no AuthPolicies here.")
	} else {
		policies := output.NewTable("NAMESPACE", "POLICY", "MODE", "READY", "GENERATION", "CURRENT", "BEHIND", "REFUSING", "AWAY", "BARE", "KEYS")
		for i := range r.Policies {
			policyRow(policies, &r.Policies[i], now)
		}
		policies.Write(w, look)
	}
	if len(r.Workloads) > 0 {
		fmt.Fprintln(w)
		workloads := output.NewTable("NAMESPACE", "WORKLOAD", "PODS", "SIDECARS", "READY", "RELEASE", "POLICIES")
		for _, l := range r.Workloads {
			style := output.Good
			if len(l.Problems) > 0 {
				style = output.Bad
			}
			workloads.Row(output.Text(l.Namespace), output.Text(l.Name), output.Count(l.Pods), output.Cell{Text: fmt.Sprint(l.Sidecars), Style: style},
				output.Count(l.Ready), output.Text(strings.Join(l.Releases, ", ")), output.Text(orNone(strings.Join(l.Policies, ", "))))
		}
		workloads.Write(w, look)
	}
	var problems []output.Node
	for _, p := range r.Policies {
		problems = appendProblems(problems, "policy "+p.Namespace+"/"+p.Name, p.Problems)
	}
	for _, l := range r.Workloads {
		problems = appendProblems(problems, l.Name+" of "+l.Namespace, l.Problems)
	}
	if len(problems) > 0 {
		fmt.Fprintln(w)
		look.Tree(w, problems...)
	}
}

func policyRow(t *output.Table, p *fleet.Policy, now time.Time) {
	ready := output.Cell{Text: p.Ready, Style: output.Good}
	if p.Ready != "True" {
		ready = output.Cell{Text: p.Ready + " (" + p.Reason + ")", Style: output.Bad}
	}
	generation := output.Text(fmt.Sprint(p.Generation))
	if p.Observed < p.Generation {
		generation = output.Cell{Text: fmt.Sprintf("%d (controller: %d)", p.Generation, p.Observed), Style: output.Warn}
	}
	s := p.Sidecars
	if s == nil {
		s = &v1alpha1.SidecarStatus{}
	}
	t.Row(output.Text(p.Namespace), output.Text(p.Name), output.Text(string(p.Mode)), ready, generation, output.Text(fmt.Sprintf("%d/%d", s.Current, s.Total)),
		unwanted(s.Total-s.Current-s.Rejecting-s.Disconnected-s.Missing, output.Warn), unwanted(s.Rejecting, output.Bad), unwanted(s.Disconnected, output.Warn),
		unwanted(s.Missing, output.Bad), keysCell(p.Keys, now))
}

// unwanted is a number that should be 0.
func unwanted(n int32, s output.Style) output.Cell {
	if n <= 0 {
		return output.Cell{Text: "0", Style: output.Faint}
	}
	return output.Cell{Text: fmt.Sprint(n), Style: s}
}

// keysCell tells the age of the oldest keys, or what is wrong with some.
func keysCell(all []fleet.Keys, now time.Time) output.Cell {
	oldest := time.Duration(-1)
	for i := range all {
		if k := &all[i]; k.State != v1alpha1.KeysCurrent && k.State != "" {
			return output.Cell{Text: fmt.Sprintf("%s: %s", k.Issuer, strings.ToLower(string(k.State))), Style: output.Bad}
		} else if !k.Read().IsZero() {
			oldest = max(oldest, k.Age(now))
		}
	}
	switch {
	case len(all) == 0:
		return output.Text("none")
	case oldest < 0:
		return output.Text("-")
	}
	return output.Text("read " + age(oldest) + " ago")
}

func appendProblems(nodes []output.Node, head string, problems []string) []output.Node {
	if len(problems) == 0 {
		return nodes
	}
	n := output.Node{Head: head, Style: output.Strong}
	for _, p := range problems {
		n.Children = append(n.Children, output.Node{Mark: output.Bad, Text: p})
	}
	return append(nodes, n)
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// conditionOf is the status of a condition; Unknown without it.
func conditionOf(all []metav1.Condition, kind string) string {
	if c := meta.FindStatusCondition(all, kind); c != nil {
		return string(c.Status)
	}
	return string(metav1.ConditionUnknown)
}
