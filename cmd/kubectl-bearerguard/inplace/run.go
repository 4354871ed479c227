package inplace

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/cluster"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/upgrade"
)

// Runner upgrades sidecars. Its fields are not changed once Run was called.
type Runner struct {
	Client client.Client
	// Config says how to reach the API server, for the sidecars' admin ports.
	Config    *rest.Config
	Namespace string
	// Target names pods, as cluster.Pods takes it; empty: all of the namespace.
	Target  string
	Options upgrade.Options
	// Named says that a person has named the image. One that pods may not have is told of at once; else replicas of the controller may
	// differ for a while about which they may.
	Named bool
	// Timeout is how long a pod may take to become ready, and how long is waited for a budget.
	Timeout time.Duration
	// Every is how often the cluster is looked at. Default: half a second.
	Every time.Duration
	// Say is told what happens, in a line each. It may be called from several goroutines.
	Say func(line string)

	trying sync.Mutex
	tried  map[string]error // guarded by trying: what came of it, by node
}

// Result is what has become of one pod.
type Result struct {
	upgrade.Pod
	// Outcome is "upgraded", "went back", "failed" (it runs as before, or not at all: Why says so), "gone", or the pod's state where nothing
	// was done.
	Outcome string `json:"outcome"`
	// Seconds is how long it took.
	Seconds int `json:"seconds,omitempty"`
	stop    bool
}

// Has reports whether the pod's sidecar has the image, and works.
func (r *Result) Has() bool { return r.Outcome == upgraded || r.Outcome == string(upgrade.Current) }

// Report is what has become of all.
type Report struct {
	Image string `json:"image"`
	// DryRun is whether nothing was done.
	DryRun bool     `json:"dryRun,omitempty"`
	Pods   []Result `json:"pods"`
	// Stopped says why the rest was not done; empty: there is no rest.
	Stopped string `json:"stopped,omitempty"`
	// Failed is whether that is a failure, which has to be looked into before this is run again.
	Failed bool `json:"failed,omitempty"`
}

// Complete reports whether every sidecar has the image and works.
func (r *Report) Complete() bool {
	return !r.Failed && !slices.ContainsFunc(r.Pods, func(p Result) bool { return !p.Has() && p.Outcome != Gone })
}

const (
	upgraded = "upgraded"
	wentBack = "went back"
	failed   = "failed"
)

// Gone is the outcome of a pod that somebody else has replaced meanwhile.
const Gone = "gone"

// Plan looks at the namespace, and changes nothing.
func (r *Runner) Plan(ctx context.Context) (*upgrade.World, []upgrade.Pod, error) {
	w, err := r.look(ctx)
	if err != nil {
		return nil, nil, err
	}
	return w, upgrade.Plan(w, r.Options), nil
}

// Run upgrades what is due, until all is done or something goes wrong; the pods that it is at it finishes, also once ctx is done. The
// error is of the API server; what has been done until then is in the report, too.
func (r *Runner) Run(ctx context.Context) (Report, error) {
	report := Report{Image: r.Options.Image}
	done := map[string]Result{}
	var news time.Duration // how long it takes until all nodes send requests to those again that were upgraded last
	for since := time.Now(); ; {
		w, plan, err := r.Plan(context.WithoutCancel(ctx))
		if err != nil {
			report.fill(plan, done)
			return report, err
		}
		start, why := upgrade.Next(w, r.Options, plan)
		rest := slices.ContainsFunc(plan, func(p upgrade.Pod) bool { return p.State == upgrade.Due || p.State == upgrade.Begun })
		switch {
		case !rest:
		case ctx.Err() != nil:
			report.Stopped, report.Failed = "interrupted; run it again to go on", true
		case len(start) == 0 && time.Since(since) > r.Timeout:
			report.Stopped = why + ", for " + r.Timeout.String()
		case len(start) == 0:
			r.Say("waiting: " + why)
			pause(ctx, 4*r.every())
			continue
		case news > 0:
			pause(ctx, news)
			news = 0
			continue
		default:
			news = longest(w, start)
			report.Stopped = r.wave(ctx, w, start, done)
			report.Failed = report.Stopped != ""
			since = time.Now()
			if !report.Failed {
				continue
			}
			if _, after, err := r.Plan(context.WithoutCancel(ctx)); err == nil {
				plan = after
			}
		}
		report.fill(plan, done)
		return report, nil
	}
}

// longest is the longest of what the clients of pods get to learn of a change.
func longest(w *upgrade.World, pods []upgrade.Pod) (d time.Duration) {
	for _, p := range pods {
		d = max(d, upgrade.DrainWait(w.Pod(p.Name)))
	}
	return d
}

// wave upgrades some pods at a time. It returns why not to go on.
func (r *Runner) wave(ctx context.Context, w *upgrade.World, start []upgrade.Pod, done map[string]Result) (stop string) {
	results := make([]Result, len(start))
	var wait sync.WaitGroup
	for i, p := range start {
		wait.Go(func() {
			began := time.Now()
			results[i] = r.one(ctx, p, w.Pod(p.Name))
			results[i].Seconds = int(time.Since(began).Round(time.Second) / time.Second)
			results[i].Name, results[i].Workload, results[i].From, results[i].State = p.Name, p.Workload, p.From, p.State
			r.say(p.Name, "%s", strings.TrimSuffix(fmt.Sprintf("%s after %d s: %s", results[i].Outcome, results[i].Seconds, results[i].Why), ": "))
		})
	}
	wait.Wait()
	for _, one := range results {
		done[one.Name] = one
		if one.stop && stop == "" {
			stop = "pod " + one.Name + ": " + one.Why
		}
	}
	return stop
}

// fill lists the pods of a plan and those that are done.
func (r *Report) fill(plan []upgrade.Pod, done map[string]Result) {
	r.Pods = []Result{}
	listed := map[string]bool{}
	for _, p := range plan {
		one, ok := done[p.Name]
		if !ok {
			one = Result{Pod: p, Outcome: string(p.State)}
		}
		r.Pods = append(r.Pods, one)
		listed[p.Name] = true
	}
	for name, one := range done {
		if !listed[name] {
			r.Pods = append(r.Pods, one)
		}
	}
}

// look reads what the decisions are made of.
func (r *Runner) look(ctx context.Context) (*upgrade.World, error) {
	w := &upgrade.World{}
	var err error
	if w.Pods, err = cluster.Pods(ctx, r.Client, r.Namespace, ""); err != nil {
		return nil, err
	}
	if r.Target != "" {
		named, err := cluster.Pods(ctx, r.Client, r.Namespace, r.Target)
		if err != nil {
			return nil, err
		}
		w.Named = map[string]bool{}
		for i := range named {
			w.Named[named[i].Name] = true
		}
	}
	var budgets policyv1.PodDisruptionBudgetList
	if err := r.Client.List(ctx, &budgets, client.InNamespace(r.Namespace)); err != nil {
		return nil, fmt.Errorf("list poddisruptionbudgets: %w", err)
	}
	slicesOf, err := r.slices(ctx)
	w.Budgets, w.Slices = budgets.Items, slicesOf
	return w, err
}

func (r *Runner) slices(ctx context.Context) ([]discoveryv1.EndpointSlice, error) {
	var list discoveryv1.EndpointSliceList
	if err := r.Client.List(ctx, &list, client.InNamespace(r.Namespace)); err != nil {
		return nil, fmt.Errorf("list endpointslices: %w", err)
	}
	return list.Items, nil
}

func (r *Runner) every() time.Duration {
	if r.Every > 0 {
		return r.Every
	}
	return 500 * time.Millisecond
}

func (r *Runner) say(pod, format string, args ...any) {
	r.Say(pod + ": " + fmt.Sprintf(format, args...))
}

// pause waits, or until ctx is done.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
