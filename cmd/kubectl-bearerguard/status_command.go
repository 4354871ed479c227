package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/admin"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/cluster"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/exit"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/fleet"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/output"
)

const statusLong = `Show the policies, what they guard, who refuses and why, and what is not as it should be: sidecars that are behind or refuse a
policy, selected pods without a sidecar or that can be reached past it, keys that are old or missing, and sidecars that no
policy selects.

It is made of what the controller has written into the policies' statuses, of the pods, and of what sidecars tell: up to 50 of
those that run, some of each workload, are asked by port-forward what they refused lately. With --status-only nobody is
asked. What could not be asked is said.

The exit code is 0 if all is well, 2 if something is not, and 1 for an error. Refused requests alone are no fault.`

const statusExample = `  # The namespace of the context.
  bearerguard status

  # All namespaces, and go on.
  bearerguard status -A --watch

  # Who was refused in the last hour?
  bearerguard status -n shop --since 1h

  # In a pipeline, after a rollout.
  bearerguard status -n shop --status-only -o json || exit 1`

type statusFlags struct {
	cluster    *cluster.Flags
	watch      bool
	statusOnly bool
	since      time.Duration
	format     output.Format

	// Of --watch: what sidecars told last, and when that was.
	told   []fleet.State
	asked  *fleet.Asked
	toldAt time.Time
}

func newStatus(now func() time.Time) *cobra.Command {
	var f statusFlags
	cmd := &cobra.Command{
		Use:     "status",
		Short:   "Show what is guarded, by what, who is refused, and what is wrong",
		Long:    statusLong,
		Example: statusExample,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.since <= 0 {
				return errors.New("--since: want a duration above 0, such as 10m")
			}
			if f.watch {
				return f.follow(cmd, now)
			}
			progress := output.NewProgress(cmd.ErrOrStderr(), "asking the cluster")
			defer progress.Done()
			report, err := f.gather(cmd.Context(), progress, now())
			if err != nil {
				return err
			}
			progress.Done()
			if err := f.format.Value(cmd.OutOrStdout(), report, func(w io.Writer, look output.Look) { f.write(w, look, &report, now()) }); err != nil {
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
	cmd.Flags().DurationVar(&f.since, "since", 10*time.Minute, "count what was refused for so `long`; each sidecar remembers the last 1,000 refusals")
	cmd.Flags().BoolVar(&f.statusOnly, "status-only", false, "go by statuses and pods alone, and ask no sidecar")
	output.AddFlag(cmd, &f.format, output.FormatTable, output.FormatJSON, output.FormatYAML)
	f.cluster = cluster.AddFlags(cmd, cluster.AnyNamespaces)
	return cmd
}

func (f *statusFlags) gather(ctx context.Context, progress *output.Progress, now time.Time) (fleet.Report, error) {
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
	report := fleet.New(policies, pods)
	if f.statusOnly {
		return report, nil
	}
	if f.asked == nil || now.Sub(f.toldAt) >= askEvery {
		if err := f.ask(ctx, pods, progress); err != nil {
			return fleet.Report{}, err
		}
		f.toldAt = now
	}
	report.Add(f.told)
	report.Asked = f.asked
	return report, nil
}

// askEvery is how often --watch asks sidecars.
const askEvery = 10 * time.Second

// ask has sidecars tell how they are. That one cannot be asked is no error.
func (f *statusFlags) ask(ctx context.Context, pods []corev1.Pod, progress *output.Progress) error {
	config, err := f.cluster.Config()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, askingTime)
	defer cancel()
	chosen, running := fleet.ToAsk(pods, mostAsked)
	told, answered := make([]fleet.State, len(chosen)), make([]bool, len(chosen))
	errs := admin.Each(chosen, func(done int) { progress.Step(fmt.Sprintf("asked %d of %d sidecars", done, len(chosen))) }, func(i int) (err error) {
		told[i], err = admin.State(ctx, config, &chosen[i], f.since)
		answered[i] = err == nil
		return err
	})
	f.told, f.asked = nil, &fleet.Asked{Since: duration.HumanDuration(f.since), Running: running}
	for i := range told {
		if answered[i] {
			f.told = append(f.told, told[i])
		}
	}
	f.asked.Sidecars = len(f.told)
	for _, err := range errs {
		f.asked.Failed = append(f.asked.Failed, output.Clean(err.Error()))
	}
	return nil
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
	progress := output.NewProgress(io.Discard, "")
	defer progress.Done()
	var last *fleet.Report
	for {
		report, err := f.gather(cmd.Context(), progress, now())
		switch {
		case cmd.Context().Err() != nil:
			return nil
		case err != nil && last == nil:
			return err
		case err != nil:
			fmt.Fprintf(cmd.ErrOrStderr(), "%v\n", err)
		case look.Width == 0 && last != nil && reflect.DeepEqual(*last, report): // ages alone are no news
		default:
			var b bytes.Buffer
			if err := f.format.Value(&b, report, func(_ io.Writer, _ output.Look) { f.write(&b, look, &report, now()) }); err != nil {
				return err
			}
			if look.Width > 0 {
				fmt.Fprint(w, "\x1b[H\x1b[2J")
			} else if last != nil {
				fmt.Fprintln(w)
			}
			fmt.Fprint(w, b.String())
			last = &report
		}
		select {
		case <-cmd.Context().Done():
			return nil
		case <-tick.C:
		}
	}
}

// write writes a report for people.
func (f *statusFlags) write(w io.Writer, look output.Look, r *fleet.Report, now time.Time) {
	summary(w, look, r)
	tables := []*output.Table{policiesTable(r, now), workloadsTable(r), refusalsTable(r, now)}
	for i, t := range tables {
		if t.Len() == 0 {
			continue
		}
		if !f.cluster.AllNamespaces {
			t.Hide("NAMESPACE")
		}
		fmt.Fprintln(w)
		if i == len(tables)-1 {
			fmt.Fprintln(w, look.Paint(output.Strong, "Refused in the last "+r.Asked.Since))
		}
		t.Write(w, look)
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
	notAsked(w, look, r.Asked)
}

// summary is a line or two on the whole.
func summary(w io.Writer, look output.Look, r *fleet.Report) {
	if len(r.Policies) == 0 {
		fmt.Fprintln(w, "There are no AuthPolicies here.")
	}
	c := r.Count()
	if c.Policies == 0 && c.Workloads == 0 {
		return
	}
	mark := output.Good
	if !r.Fine() {
		mark = output.Bad
	}
	text := fmt.Sprintf("%d of %d policies ready, %d of %d pods with a sidecar", c.Ready, c.Policies, c.Sidecars, c.Pods)
	if c.Wrong > 0 {
		text += fmt.Sprintf(", something wrong with %d of %d workloads", c.Wrong, c.Workloads)
	}
	if r.Asked != nil && r.Asked.Sidecars > 0 {
		text += fmt.Sprintf(", %d requests refused in the last %s", c.Refused, r.Asked.Since)
	}
	fmt.Fprintf(w, "%s %s\n", look.Mark(mark), look.Paint(output.Strong, text))
}

// notAsked tells of sidecars whose word is missing.
func notAsked(w io.Writer, look output.Look, a *fleet.Asked) {
	if a == nil || a.Sidecars == a.Running {
		return
	}
	fmt.Fprintf(w, "\n%s what was refused is known of %d of %d sidecars\n", look.Mark(output.Warn), a.Sidecars, a.Running)
	const few = 3
	for _, text := range a.Failed[:min(few, len(a.Failed))] {
		fmt.Fprintf(w, "  %s\n", text)
	}
	if more := len(a.Failed) - few; more > 0 {
		fmt.Fprintf(w, "  and %d more\n", more)
	}
}

func policiesTable(r *fleet.Report, now time.Time) *output.Table {
	t := output.NewTable("NAMESPACE", "POLICY", "MODE", "READY", "GENERATION", "CURRENT", "BEHIND", "REFUSING", "AWAY", "BARE", "GUARDED", "KEYS")
	for i := range r.Policies {
		policyRow(t, &r.Policies[i], now)
	}
	return t
}

func workloadsTable(r *fleet.Report) *output.Table {
	t := output.NewTable("NAMESPACE", "WORKLOAD", "PODS", "SIDECARS", "READY", "RELEASE", "REFUSED", "POLICIES")
	for i := range r.Workloads {
		l := &r.Workloads[i]
		style := output.Good
		if len(l.Problems) > 0 {
			style = output.Bad
		}
		releases := l.Versions
		if len(releases) == 0 {
			releases = l.Releases
		}
		policies := output.Text(strings.Join(l.Policies, ", "))
		if len(l.Policies) == 0 {
			policies = output.Cell{Text: "none", Style: output.Bad}
		}
		t.Row(output.Text(l.Namespace), output.Text(l.Name), output.Count(l.Pods), output.Cell{Text: fmt.Sprint(l.Sidecars), Style: style},
			output.Count(l.Ready), output.Text(strings.Join(releases, ", ")), refusedCell(l), policies)
	}
	return t
}

// refusedCell is how many requests a workload refused, as far as is known.
func refusedCell(l *fleet.Workload) output.Cell {
	if l.Asked == 0 {
		return output.Cell{Text: "-", Style: output.Faint}
	}
	n := 0
	for _, x := range l.Refusals {
		n += x.Count
	}
	text := fmt.Sprint(n)
	if l.Partial || l.Asked < l.Sidecars {
		text += " or more"
	}
	if n == 0 {
		return output.Cell{Text: text, Style: output.Faint}
	}
	return output.Text(text)
}

// mostKinds is how many kinds of refusals of a workload are listed.
const mostKinds = 5

func refusalsTable(r *fleet.Report, now time.Time) *output.Table {
	t := output.NewTable("NAMESPACE", "WORKLOAD", "REASON", "COUNT", "LAST", "POLICY", "RULE", "FOR EXAMPLE")
	for i := range r.Workloads {
		l := &r.Workloads[i]
		for n := range l.Refusals[:min(len(l.Refusals), mostKinds)] {
			x := &l.Refusals[n]
			policy, rule := x.Policy, orFaint(x.Rule, "-")
			if x.Rule == "" && x.NearestRule != "" {
				rule = output.Cell{Text: "near " + x.NearestRule, Style: output.Faint}
			}
			if policy == "" {
				policy = x.NearestPolicy
			}
			_, short, named := strings.Cut(policy, "/")
			if !named {
				short = policy
			}
			why := x.Cause
			if why == "" {
				why = "bearerguard explain --request-id " + x.RequestID
			}
			t.Row(output.Text(l.Namespace), output.Text(l.Name), output.Cell{Text: string(x.Reason), Style: output.Warn}, output.Count(x.Count),
				output.Text(age(now.Sub(x.Last))+" ago"), orFaint(short, "-"), rule, output.Cell{Text: why, Style: output.Faint})
		}
		if more := len(l.Refusals) - mostKinds; more > 0 {
			t.Row(output.Text(l.Namespace), output.Text(l.Name), output.Cell{Text: fmt.Sprintf("%d more kinds", more), Style: output.Faint})
		}
	}
	return t
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
		unwanted(s.Missing, output.Bad), guardedCell(p), keysCell(p.Keys, now))
}

// guardedCell says whether the app can be reached past the sidecar.
func guardedCell(p *fleet.Policy) output.Cell {
	switch {
	case p.Guarded == "True":
		return output.Cell{Text: "yes", Style: output.Good}
	case p.GuardedReason == v1alpha1.ReasonBypassable:
		return output.Cell{Text: "bypassable", Style: output.Bad}
	case p.Guarded == "False":
		return output.Cell{Text: "no", Style: output.Bad}
	}
	return output.Cell{Text: "-", Style: output.Faint}
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

// conditionOf is the status of a condition; Unknown without it.
func conditionOf(all []metav1.Condition, kind string) string {
	if c := meta.FindStatusCondition(all, kind); c != nil {
		return string(c.Status)
	}
	return string(metav1.ConditionUnknown)
}
