package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// scenario prints some rows. It leaves no pods and no policies behind.
type scenario struct {
	name string
	run  func(ctx context.Context, b *bench) error
}

var scenarios = []scenario{
	{"policy webhook", policyWebhook},
	{"many policies", manyPolicies},
	{"churn", churn},
	{"revocations", manyRevocations},
	{"logouts", manyLogouts},
	{"one namespace", func(ctx context.Context, b *bench) error { return b.fleetIn(ctx, 1) }},
	{"many namespaces", func(ctx context.Context, b *bench) error { return b.fleetIn(ctx, b.namespaces) }},
}

// What is wanted, of 10,000 sidecars on two cores.
const (
	wantEdit      = 1300 * time.Millisecond
	wantConnected = 15 * time.Second
	wantRSS       = 400 // MiB
	wantPeak      = 500 // MiB, while everybody connects
	wantServerCPU = 6 * time.Second
	wantKeys      = time.Second
	wantQuiet     = 10 * time.Millisecond
	wantBusy      = 50 * time.Millisecond
	wantValidate  = 10 * time.Millisecond
	wantSlowest   = 40 * time.Millisecond
	wantOneOfMany = 300 * time.Millisecond
	wantRevoked   = 100 * time.Millisecond
	wantBytes     = 64 << 10 // a sidecar, of one more revocation
)

// policiesOf is how many policies a namespace of the spread fleet has.
const policiesOf = 10

// fleetIn measures a fleet that is spread evenly over n namespaces.
func (b *bench) fleetIn(ctx context.Context, n int) error {
	where := fmt.Sprintf("%d in %d namespaces: ", b.sidecars, n)
	if n == 1 {
		where = fmt.Sprintf("%d in one namespace: ", b.sidecars)
	}
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("fleet%d-%03d", n, i)
	}
	pods, err := b.populate(ctx, names)
	if err != nil {
		return err
	}
	defer b.clear(names)
	// A fresh process, so that its memory is the fleet's alone.
	if err := b.restart(ctx); err != nil {
		return err
	}
	<-time.After(3 * time.Second)
	var f *fleet
	var ended int64
	err = b.connect(ctx, where+"start", func() (err error) { f, err = b.launch(ctx, pods); return err }, func() error {
		a, err := f.wait(question{What: "p0", Least: 1, Timeout: 10 * time.Minute})
		ended = a.Ended
		return err
	})
	defer func() { f.stop() }()
	if err != nil {
		return err
	}
	tries := 1 + float64(ended)/float64(f.size)
	row(where+"start: tries a sidecar", fmt.Sprintf("%.2f", tries), "< 2", tries >= 2)
	if err := b.memory(ctx, where); err != nil {
		return err
	}
	if err := b.edits(ctx, f, where, names[0]); err != nil {
		return err
	}
	if n == 1 {
		if err := b.keyEdits(ctx, f, where, names[0]); err != nil {
			return err
		}
		if err := b.podWebhook(ctx, f, where, names[0]); err != nil {
			return err
		}
	}
	return b.reconnect(ctx, f, where)
}

// populate creates the namespaces with their policies, and the pods evenly among them.
func (b *bench) populate(ctx context.Context, names []string) ([]*corev1.Pod, error) {
	policies := policiesOf
	if len(names) == 1 {
		policies = 1
	}
	err := parallel(ctx, len(names), func(ctx context.Context, i int) error {
		if err := b.cluster.namespace(ctx, names[i]); err != nil {
			return err
		}
		if err := b.keySecret(ctx, names[i], 1); err != nil {
			return err
		}
		for j := range policies {
			o := object("AuthPolicy", names[i], fmt.Sprintf("p%d", j), policySpec(map[string]any{"app": "fleet"}, secretKeys, 4))
			if err := b.cluster.client.Create(ctx, o); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	pods := make([]*corev1.Pod, b.sidecars)
	return pods, parallel(ctx, b.sidecars, func(ctx context.Context, i int) (err error) {
		pods[i], err = b.cluster.pod(ctx, names[i%len(names)], fmt.Sprintf("app-%05d", i), map[string]string{"app": "fleet"})
		return err
	})
}

// clear deletes what a scenario has made.
func (b *bench) clear(names []string) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	now := int64(0)
	_ = parallel(ctx, len(names), func(ctx context.Context, i int) error {
		for _, kind := range []string{"AuthPolicy", "TokenRevocation"} {
			if err := b.deleteAll(ctx, kind, names[i]); err != nil {
				return err
			}
		}
		return b.cluster.clients.CoreV1().Pods(names[i]).DeleteCollection(ctx,
			metav1.DeleteOptions{GracePeriodSeconds: &now}, metav1.ListOptions{})
	})
}

// connect measures how long it takes until every sidecar is connected, and what that costs.
func (b *bench) connect(ctx context.Context, what string, begin func() error, heard func() error) error {
	cpu, began := b.cluster.server.cpu(), time.Now()
	if err := begin(); err != nil {
		return err
	}
	own := b.controller.process().cpu()
	began = later(began, time.Now().Add(-time.Second)) // tokens were made before
	peak := make(chan float64, 1)
	watching, seen := context.WithCancel(ctx)
	defer seen()
	go func() { peak <- b.controller.process().peak(watching) }()
	if err := heard(); err != nil {
		return err
	}
	if err := b.connected(ctx, b.sidecars); err != nil {
		return err
	}
	took := time.Since(began)
	<-time.After(2 * time.Second) // status follows
	seen()
	most := <-peak
	spent := b.cluster.server.cpu() - cpu
	row(what+": everyone connected", seconds(took), "< "+seconds(wantConnected), took > wantConnected)
	row(what+": API server CPU", seconds(spent), "< "+seconds(wantServerCPU), spent > wantServerCPU)
	row(what+": controller CPU", seconds(b.controller.process().cpu()-own), "", false)
	row(what+": controller RSS at the peak", fmt.Sprintf("%.0f MiB", most), fmt.Sprintf("< %d MiB", wantPeak), most > wantPeak)
	return nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// memory measures the controller at rest.
func (b *bench) memory(ctx context.Context, where string) error {
	<-time.After(8 * time.Second)
	v, err := b.controller.gauge(ctx, "go_memstats_heap_alloc_bytes", "go_memstats_heap_inuse_bytes", "go_memstats_stack_inuse_bytes", "go_goroutines")
	if err != nil {
		return err
	}
	rss := b.controller.process().rss()
	row(where+"controller RSS", fmt.Sprintf("%.0f MiB", rss), fmt.Sprintf("< %d MiB", wantRSS), rss > wantRSS)
	row(where+"heap live, in use; stacks; goroutines",
		fmt.Sprintf("%.0f, %.0f; %.0f MiB; %.0f", v[0]/(1<<20), v[1]/(1<<20), v[2]/(1<<20), v[3]), "", false)
	return nil
}

// edits measures edits of a policy, from apply to the last sidecar of the namespace.
func (b *bench) edits(ctx context.Context, f *fleet, where, namespace string) error {
	var took []time.Duration
	cpu, server := b.controller.process().cpu(), b.cluster.server.cpu()
	const times = 10
	for i := range times {
		began := time.Now()
		generation, err := b.edit(ctx, namespace, "p0", i)
		if err != nil {
			return err
		}
		a, err := f.wait(question{Namespace: namespace, What: "p0", Least: generation})
		if err != nil {
			return err
		}
		took = append(took, a.Last.Sub(began))
		<-time.After(time.Second)
	}
	s := spread(took)
	row(where+"an edit, to the last sidecar", s.String(), "p99 < "+seconds(wantEdit), s.p99 > wantEdit)
	row(where+"an edit: CPU of controller, API server",
		seconds((b.controller.process().cpu()-cpu)/times)+", "+seconds((b.cluster.server.cpu()-server)/times), "", false)
	return nil
}

// keyEdits measures changes of a key set in a Secret.
func (b *bench) keyEdits(ctx context.Context, f *fleet, where, namespace string) error {
	var took []time.Duration
	for n := range 3 {
		began := time.Now()
		if err := b.keySecret(ctx, namespace, n+2); err != nil {
			return err
		}
		a, err := f.wait(question{Namespace: namespace, What: whatKeys, Least: int64(n + 2)})
		if err != nil {
			return err
		}
		took = append(took, a.Last.Sub(began))
		<-time.After(700 * time.Millisecond)
	}
	s := spread(took)
	row(where+"keys in a Secret, to the last sidecar", s.String(), "< "+seconds(wantKeys), s.p99 > wantKeys)
	return nil
}

// reconnect measures a restart of the controller.
func (b *bench) reconnect(ctx context.Context, f *fleet, where string) error {
	before, err := f.wait(question{What: "p0", Least: 1})
	if err != nil {
		return err
	}
	b.controller.stop()
	begin := func() error { return b.controller.start(ctx, &b.cluster.env.WebhookInstallOptions) }
	if err := b.connect(ctx, where+"restart", begin, func() error { return nil }); err != nil {
		return err
	}
	after, err := f.wait(question{What: "p0", Least: 1})
	if err != nil {
		return err
	}
	tries := float64(after.Ended-before.Ended) / float64(f.size)
	row(where+"restart: tries a sidecar", fmt.Sprintf("%.2f", tries), "< 2", tries >= 2)
	return nil
}

// figures are the middle and the slow end of some durations.
type figures struct{ p50, p99 time.Duration }

func spread(d []time.Duration) figures {
	if len(d) == 0 {
		return figures{}
	}
	slices.Sort(d)
	return figures{d[len(d)/2], d[min(len(d)-1, len(d)*99/100)]}
}

func (f figures) String() string { return "p50 " + seconds(f.p50) + ", p99 " + seconds(f.p99) }

// seconds prints a duration for people.
func seconds(d time.Duration) string {
	switch {
	case d < 100*time.Millisecond:
		return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
	case d < 10*time.Second:
		return fmt.Sprintf("%.2f s", d.Seconds())
	default:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
}
