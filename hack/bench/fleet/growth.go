package main

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	waits "k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// compiles counts how often a namespace was compiled, since a policy, a key set or the labels of a pod were new.
const compiles = "bearerguard_compiles_total"

// deleteAll deletes all objects of a kind in a namespace.
func (b *bench) deleteAll(ctx context.Context, kind, namespace string) error {
	return b.cluster.client.DeleteAllOf(ctx, object(kind, namespace, "", nil), client.InNamespace(namespace))
}

// alone makes a namespace for one scenario, and returns what deletes what is in it.
func (b *bench) alone(ctx context.Context, name string) (clear func(), err error) {
	if err := b.cluster.namespace(ctx, name); err != nil {
		return func() {}, err
	}
	return func() { b.clear([]string{name}) }, b.keySecret(ctx, name, 1)
}

// insist creates an object whose review a busy machine may not have ended in time: a namespace has one at a time.
func insist(create func() error) error {
	late := func(err error) bool {
		return apierrors.IsInternalError(err) || apierrors.IsTooManyRequests(err) || apierrors.IsTimeout(err)
	}
	return client.IgnoreAlreadyExists(retry.OnError(waits.Backoff{Steps: 20, Duration: time.Second, Jitter: 1}, late, create))
}

// manyPolicies measures one edit among 5,000 policies of a namespace, each of which selects a workload of its own.
func manyPolicies(ctx context.Context, b *bench) error {
	const namespace, policies = "many-policies", 5000
	done, err := b.alone(ctx, namespace)
	defer done()
	if err != nil {
		return err
	}
	label := func(i int) map[string]string { return map[string]string{"app": fmt.Sprintf("app-%d", i)} }
	err = parallel(ctx, policies, func(ctx context.Context, i int) error {
		selector := map[string]any{"app": label(i)["app"]}
		return insist(func() error {
			return b.cluster.client.Create(ctx, object("AuthPolicy", namespace, fmt.Sprintf("p%d", i), policySpec(selector, secretKeys, 2)))
		})
	})
	if err != nil {
		return err
	}
	pods, err := b.cluster.pods(ctx, namespace, 100, label)
	if err != nil {
		return err
	}
	f, err := b.launch(ctx, pods)
	defer f.stop()
	if err != nil {
		return err
	}
	// Whoever is selected has the keys that every policy names.
	if _, err := f.wait(question{What: whatKeys, Least: 1}); err != nil {
		return err
	}
	<-time.After(5 * time.Second) // status is written
	var took []time.Duration
	const times = 5
	cpu := b.controller.process().cpu()
	for i := range times {
		began := time.Now()
		generation, err := b.edit(ctx, namespace, "p0", i)
		if err != nil {
			return err
		}
		d, err := f.first(ctx, "p0", generation)
		if err != nil {
			return err
		}
		took = append(took, d.Sub(began))
		<-time.After(time.Second)
	}
	s := spread(took)
	row("one edit among 5,000 policies of a namespace", s.String(), "< "+seconds(wantOneOfMany), s.p99 > wantOneOfMany)
	each := (b.controller.process().cpu() - cpu) / times
	row("one edit among 5,000 policies: controller CPU", seconds(each), "< "+seconds(wantOneOfMany), each > wantOneOfMany)
	return nil
}

// first waits until at least one sidecar has it.
func (f *fleet) first(ctx context.Context, what string, least int64) (time.Time, error) {
	for end := time.Now().Add(time.Minute); time.Now().Before(end) && ctx.Err() == nil; {
		a, _ := f.wait(question{What: what, Least: least, Timeout: time.Millisecond}) // not all will have it
		if a.Have > 0 {
			return a.Last, nil
		}
		<-time.After(5 * time.Millisecond)
	}
	return time.Time{}, fmt.Errorf("no sidecar has %s", what)
}

// churn measures pods that come and go in a namespace of 1,000.
func churn(ctx context.Context, b *bench) error {
	const namespace, standing, rate, lasting = "churn", 1000, 100, 10 * time.Second
	done, err := b.alone(ctx, namespace)
	defer done()
	if err != nil {
		return err
	}
	same := func(int) map[string]string { return map[string]string{"app": "fleet"} }
	if err := b.cluster.client.Create(ctx, object("AuthPolicy", namespace, "p0", policySpec(map[string]any{"app": "fleet"}, secretKeys, 4))); err != nil {
		return err
	}
	if _, err := b.cluster.pods(ctx, namespace, standing, same); err != nil {
		return err
	}
	<-time.After(5 * time.Second)
	before, err := b.controller.gauge(ctx, compiles)
	if err != nil {
		return err
	}
	cpu, began := b.controller.process().cpu(), time.Now()
	tick := time.NewTicker(time.Second / rate)
	defer tick.Stop()
	events := int(lasting/time.Second) * rate
	now := int64(0)
	err = parallel(ctx, events, func(ctx context.Context, i int) error {
		<-tick.C
		p, err := b.cluster.pod(ctx, namespace, fmt.Sprintf("guest-%05d", i), same(i))
		if err != nil {
			return err
		}
		return b.cluster.clients.CoreV1().Pods(namespace).Delete(ctx, p.Name, metav1.DeleteOptions{GracePeriodSeconds: &now})
	})
	if err != nil {
		return err
	}
	took := time.Since(began)
	<-time.After(time.Second)
	after, err := b.controller.gauge(ctx, compiles)
	if err != nil {
		return err
	}
	spent := b.controller.process().cpu() - cpu
	row(fmt.Sprintf("%d pods created and deleted in %s, among %d", events, seconds(took), standing),
		fmt.Sprintf("%.0f compiles, CPU %s", after[0]-before[0], seconds(spent)), "CPU < 2 s", spent > 2*time.Second)
	return nil
}

// manyRevocations measures one revocation more, among 200,000 that 100 sidecars have.
func manyRevocations(ctx context.Context, b *bench) error {
	const namespace, objects, each, sidecars = "revocations", 20, 10_000, 100
	done, err := b.alone(ctx, namespace)
	defer done()
	if err != nil {
		return err
	}
	var pods []*corev1.Pod
	same := func(int) map[string]string { return map[string]string{"app": "fleet"} }
	if err := b.cluster.client.Create(ctx, object("AuthPolicy", namespace, "p0", policySpec(map[string]any{"app": "fleet"}, secretKeys, 4))); err != nil {
		return err
	}
	if pods, err = b.cluster.pods(ctx, namespace, sidecars, same); err != nil {
		return err
	}
	for i := range objects {
		if err := b.cluster.client.Create(ctx, object("TokenRevocation", namespace, fmt.Sprintf("r%d", i), revocations(fmt.Sprint(i), each))); err != nil {
			return err
		}
	}
	f, err := b.launch(ctx, pods)
	defer f.stop()
	if err != nil {
		return err
	}
	// All objects are admitted and counted before: on a busy machine that takes minutes.
	if _, err := f.wait(question{What: whatRevocations, Least: objects * each, Timeout: 10 * time.Minute}); err != nil {
		return err
	}
	<-time.After(3 * time.Second)
	bytes, cpu := f.process().received(), b.controller.process().cpu()
	var took []time.Duration
	const times = 3
	for i := range times {
		began := time.Now()
		if err := b.cluster.client.Create(ctx, object("TokenRevocation", namespace, fmt.Sprintf("more%d", i), revocations(fmt.Sprint("more", i), 1))); err != nil {
			return err
		}
		a, err := f.wait(question{What: whatRevocations, Least: int64(objects*each + i + 1)})
		if err != nil {
			return err
		}
		took = append(took, a.Last.Sub(began))
		<-time.After(2 * time.Second)
	}
	s := spread(took)
	row("one revocation more of 200,000, to 100 sidecars", s.String(), "< "+seconds(wantRevoked), s.p99 > wantRevoked)
	perSidecar := (f.process().received() - bytes) / times / sidecars
	row("one revocation more: bytes to a sidecar", fmt.Sprintf("%.1f KiB", perSidecar/1024), fmt.Sprintf("< %d KiB", wantBytes>>10), perSidecar > wantBytes)
	row("one revocation more: controller CPU", seconds((b.controller.process().cpu()-cpu)/times), "", false)
	return nil
}
