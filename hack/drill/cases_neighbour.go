package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// greedy is the namespace that takes all that it can get.
const greedy = "greedy"

func neighbourCases() []drillCase {
	return []drillCase{
		{
			name: "a neighbour namespace at its limits",
			what: "20,000 rules in 312 policies, and 50,000 revocations; what is more is refused; all are edited without a pause; " +
				"an edit elsewhere takes at most twice as long as beside ConfigMaps of that size that are edited so, or 100 ms",
			run:     neighbour,
			restore: func(ctx context.Context, w *world) error { return w.noNamespace(ctx, greedy) },
		},
		{
			name: "ports mode, and the app's port is open", quick: true,
			what: "an app that listens for all beside a sidecar that does not redirect can be reached past it: the policy says Guarded=False, Bypassable",
			run:  bypass,
			restore: func(ctx context.Context, w *world) error {
				return errors.Join(w.deletePods(ctx, "open"), w.gone(ctx, "authpolicy", "open"))
			},
		},
	}
}

// neighbour times edits of the app's policies before and while another namespace is busy. An API server on two cores that has to
// take in edits without a pause is slow whatever is edited, so the same is done with ConfigMaps to compare.
func neighbour(ctx context.Context, w *world) error {
	before, err := w.medianEdit(ctx)
	if err != nil {
		return err
	}
	if err := w.namespace(ctx, greedy); err != nil {
		return err
	}
	if err := w.fillNeighbour(ctx); err != nil {
		return err
	}
	w.fault()
	plain, maps, err := w.editBeside(ctx, configMaps, asConfigMap)
	if err != nil {
		return err
	}
	during, policies, err := w.editBeside(ctx, authPolicies, func(manifest string) string { return manifest })
	if err != nil {
		return err
	}
	round := func(d time.Duration) time.Duration { return d.Round(time.Millisecond) }
	fmt.Printf("     an edit took %s before, %s beside %d edits of ConfigMaps, %s beside %d edits of policies\n",
		round(before), round(plain), maps, round(during), policies)
	if during > max(2*plain, 100*time.Millisecond) { // below that, it is the machine
		return fmt.Errorf("an edit takes %s beside the busy namespace, %s beside ConfigMaps that are edited so", round(during), round(plain))
	}
	return nil
}

// editBeside times edits while a namespace edits objects of a kind without a pause, and counts these.
func (w *world) editBeside(ctx context.Context, kind schema.GroupVersionResource, as func(manifest string) string) (took time.Duration, edits int64, err error) {
	busy, stop := context.WithCancel(ctx)
	var wait sync.WaitGroup
	var count atomic.Int64
	for worker := range 2 {
		wait.Go(func() {
			for i := 1; busy.Err() == nil; i++ {
				if w.put(busy, kind, as(manyRules(worker, i))) == nil {
					count.Add(1)
				}
			}
		})
	}
	took, err = w.medianEdit(ctx)
	stop()
	wait.Wait()
	return took, count.Load(), err
}

// asConfigMap is a ConfigMap with the text of a manifest in it.
func asConfigMap(manifest string) string {
	head, spec, _ := strings.Cut(manifest, "spec:")
	head = strings.NewReplacer("bearerguard.dev/v1alpha1", "v1", "AuthPolicy", "ConfigMap").Replace(head)
	return head + "data:\n  spec: |\n" + strings.ReplaceAll(spec, "\n  ", "\n    ")
}

// medianEdit is the median of several edits.
func (w *world) medianEdit(ctx context.Context) (time.Duration, error) {
	var took []time.Duration
	for range 9 {
		d, err := w.editTakes(ctx)
		if err != nil {
			return 0, err
		}
		took = append(took, d)
	}
	slices.Sort(took)
	return took[len(took)/2], nil
}

func (w *world) fillNeighbour(ctx context.Context) error {
	for i := range 20_000 / rulesEach {
		if err := w.put(ctx, authPolicies, manyRules(i, 0)); err != nil {
			return err
		}
	}
	if err := w.put(ctx, authPolicies, manyRules(20_000/rulesEach, 0)); err == nil || !strings.Contains(err.Error(), "want at most 20000") {
		return fmt.Errorf("more than 20,000 rules in a namespace: %w, want it refused", errors.Join(err, errors.New("taken")))
	}
	for o := range 5 {
		var b strings.Builder
		fmt.Fprintf(&b, "apiVersion: bearerguard.dev/v1alpha1\nkind: TokenRevocation\nmetadata: {name: r-%d, namespace: %s}\nspec:\n  issuer: %s\n  entries:\n", o, greedy, issuer)
		for i := range 10_000 {
			fmt.Fprintf(&b, "  - {jti: r-%d-%d}\n", o, i)
		}
		if err := w.put(ctx, tokenRevocations, b.String()); err != nil {
			return err
		}
	}
	return nil
}

// rulesEach is how many rules each policy of the greedy namespace has.
const rulesEach = 64

// manyRules is a policy of the greedy namespace; another turn makes it another.
func manyRules(i, turn int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "apiVersion: bearerguard.dev/v1alpha1\nkind: AuthPolicy\nmetadata: {name: p-%d, namespace: %s}\nspec:\n  selector: {matchLabels: {app: none}}\n  rules:\n", i, greedy)
	for r := range rulesEach {
		fmt.Fprintf(&b, "  - {name: r%d, match: [{paths: [\"/p%d/r%d/turn%d/{id}\", \"/p%d/r%d/**\"]}], allow: {anonymous: true}}\n", r, i, r, turn, i, r)
	}
	return b.String()
}

// bypass runs a pod whose sidecar listens on another port than the app, which listens for all.
func bypass(ctx context.Context, w *world) error {
	w.fault()
	if err := w.apply(ctx, strings.NewReplacer("name: orders,", "name: open,", "{app: orders}", "{app: open}").Replace(policy(w.keys.url))); err != nil {
		return err
	}
	if err := w.runPod(ctx, "open", `"bearerguard.dev/inject":"enabled","bearerguard.dev/capture":"ports","bearerguard.dev/ports":"18080:8080"`,
		`"args":["serve",":8080"]`); err != nil {
		return err
	}
	w.told(w.says(ctx, "authpolicy/open", "Guarded", "False/Bypassable", 60*time.Second))
	if c := w.condition(ctx, "authpolicy/open", "Guarded"); !strings.Contains(c, "8080") {
		w.told(fmt.Errorf("the message does not name the port: %s", c))
	}
	return nil
}
