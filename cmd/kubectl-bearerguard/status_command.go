package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
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
		Args:    noArguments,
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
			output.Printf(cmd.ErrOrStderr(), "%s\n", output.Lines(err.Error()))
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
			_, _ = b.WriteTo(w)
			last = &report
		}
		select {
		case <-cmd.Context().Done():
			return nil
		case <-tick.C:
		}
	}
}
