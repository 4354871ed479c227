package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/util/rand"

	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/cluster"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/exit"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/inplace"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/output"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/upgrade"
)

const upgradeLong = `Give the sidecars of running pods another image, without restarting their apps.

The kubelet restarts a sidecar alone when its image changes in the pod. This does so pod by pod: the sidecar sends its clients
elsewhere and is not ready, so that no Service sends requests to the pod; once clients have had their --drain-wait the image is
changed; when the new sidecar is ready, the controller has its word that the newest rules are in force, and every node has had that time
to learn of it, the next pod's turn comes.
Pod templates stay as they are: their new pods get the new sidecar anyway.

Before the first pod of a node, a pod bearerguard-trial-* tries the image there: whether it can be had, runs, and takes the sidecar's flags.
If not, nothing was touched. PodDisruptionBudgets are honoured. A pod that a Service has no other for is left out, unless --interrupt says
that requests may fail. If a new sidecar does not become ready, the pod gets its former image back. Whatever goes wrong, the command stops;
run again, it goes on where it stopped.

Only the image changes. What a new release gives sidecars besides, such as other flags, comes with new pods: kubectl rollout restart.

The exit code is 0 if all sidecars have the image, 2 if some had to be left out, and 1 if something went wrong.`

const upgradeExample = `  # After helm upgrade: which pods have another sidecar than new ones would get?
  bearerguard upgrade-sidecars -n shop --dry-run

  # One pod at a time.
  bearerguard upgrade-sidecars -n shop --max-unavailable 1

  # First one workload; then what it says, for a pipeline.
  bearerguard upgrade-sidecars deploy/orders -n shop
  bearerguard upgrade-sidecars -n shop -o json`

type upgradeFlags struct {
	cluster   *cluster.Flags
	image     string
	most      int
	timeout   time.Duration
	interrupt bool
	noTrial   bool
	dryRun    bool
	format    output.Format
}

func newUpgradeSidecars() *cobra.Command {
	var f upgradeFlags
	cmd := &cobra.Command{
		Use:     "upgrade-sidecars [" + cluster.Target + "]",
		Short:   "Give running sidecars another image, without restarting apps",
		Long:    upgradeLong,
		Example: upgradeExample,
		Args:    oneTarget,
		RunE:    f.run,
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&f.image, "image", "", "`image` to have (default: what a pod would get if it were made now)")
	flags.IntVar(&f.most, "max-unavailable", 1, "how many pods may be away at a time, of each workload and in all")
	flags.DurationVar(&f.timeout, "timeout", 2*time.Minute, "how long a pod may take to become ready, and a budget to allow one")
	flags.BoolVar(&f.interrupt, "interrupt", false, "also pods that a Service has no other for: requests fail while their sidecars restart")
	flags.BoolVar(&f.noTrial, "no-trial", false, "do not try the image on each node first, in a pod of its own")
	flags.BoolVar(&f.dryRun, "dry-run", false, "say what would be done, and change nothing")
	output.AddFlag(cmd, &f.format, output.FormatTable, output.FormatJSON, output.FormatYAML)
	f.cluster = cluster.AddFlags(cmd, cluster.OneNamespace)
	return cmd
}

func (f *upgradeFlags) run(cmd *cobra.Command, args []string) error {
	switch {
	case f.most < 1:
		return errors.New("--max-unavailable: want at least 1")
	case f.timeout <= 0:
		return errors.New("--timeout: want more than 0s")
	}
	r, err := f.runner(cmd, args)
	if err != nil {
		return err
	}
	w, plan, err := r.Plan(cmd.Context())
	if err != nil {
		return err
	}
	if len(w.Pods) == 0 || len(w.Named) == 0 && w.Named != nil {
		return fmt.Errorf("there are no such pods in namespace %s", r.Namespace)
	}
	if r.Options.Image == "" && len(plan) > 0 {
		if r.Options.Image, err = inplace.WantedImage(cmd.Context(), r.Client, w.Pod(plan[0].Name)); err != nil {
			return err
		}
	}
	if f.dryRun {
		_, plan, err = r.Plan(cmd.Context())
		return errors.Join(err, f.show(cmd, planned(r.Options.Image, plan)))
	}
	ctx, lease, err := inplace.Take(cmd.Context(), r.Client, r.Namespace, whoever())
	if err != nil {
		return err
	}
	defer lease.Release()
	report, err := r.Run(ctx)
	return errors.Join(err, f.show(cmd, &report))
}

// runner makes what does it. It may have no image yet.
func (f *upgradeFlags) runner(cmd *cobra.Command, args []string) (*inplace.Runner, error) {
	namespace, err := f.cluster.Namespace()
	if err != nil {
		return nil, err
	}
	c, err := f.cluster.Client()
	if err != nil {
		return nil, err
	}
	config, err := f.cluster.Config()
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	r := &inplace.Runner{
		Client: c, Config: config, Namespace: namespace, Timeout: f.timeout, Named: f.image != "",
		Options: upgrade.Options{Image: f.image, MaxUnavailable: f.most, Interrupt: f.interrupt, NoTrial: f.noTrial},
		Say: func(line string) {
			mu.Lock()
			defer mu.Unlock()
			output.Printf(cmd.ErrOrStderr(), "%s\n", line)
		},
	}
	if len(args) > 0 {
		r.Target = args[0]
	}
	return r, nil
}

// whoever names this program's run, for others who find its Lease.
func whoever() string {
	name, host := "somebody", "somewhere"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if h, err := os.Hostname(); err == nil {
		host = h
	}
	return name + "@" + host + "/" + rand.String(8)
}

// planned is a report of what would be done.
func planned(image string, plan []upgrade.Pod) *inplace.Report {
	r := &inplace.Report{Image: image, Pods: []inplace.Result{}, DryRun: true}
	for _, p := range plan {
		r.Pods = append(r.Pods, inplace.Result{Pod: p, Outcome: string(p.State)})
	}
	return r
}

// show prints a report, and returns what the exit code is made of.
func (f *upgradeFlags) show(cmd *cobra.Command, r *inplace.Report) error {
	err := f.format.Value(cmd.OutOrStdout(), r, func(w io.Writer, look output.Look) { writeUpgrade(w, look, r) })
	switch {
	case err != nil:
		return err
	case r.Failed:
		return exit.ErrSaid
	case !r.DryRun && !r.Complete():
		return exit.ErrNo
	}
	return nil
}

func writeUpgrade(w io.Writer, look output.Look, r *inplace.Report) {
	if len(r.Pods) == 0 {
		fmt.Fprintln(w, "There are no pods with a sidecar here.")
		return
	}
	table := output.NewTable("POD", "WORKLOAD", "FROM", "OUTCOME", "WHY")
	have := 0
	for _, p := range r.Pods {
		cell := output.Cell{Text: p.Outcome, Style: output.Bad}
		switch {
		case p.Has():
			cell.Style = output.Good
			have++
		case p.State == upgrade.Due && p.Outcome == string(p.State), p.Outcome == inplace.Gone:
			cell.Style = output.Warn
		}
		table.Row(output.Text(p.Name), output.Text(p.Workload), output.Text(p.From), cell, output.Text(p.Why))
	}
	table.Write(w, look)
	output.Printf(w, "\n%d of %d sidecars have %s\n", have, len(r.Pods), r.Image)
	if r.Stopped != "" {
		output.Printf(w, "stopped: %s\n", r.Stopped)
	}
}
