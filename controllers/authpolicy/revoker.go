package authpolicy

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/bearerguard/bearerguard/api/revoked"
	"github.com/bearerguard/bearerguard/controllers/compile"
	"github.com/bearerguard/bearerguard/controllers/push"
)

// revoker keeps the revocations of each namespace and hands them to the push server. It runs on every replica.
type revoker struct {
	reader client.Reader
	push   *push.Server
	status *Trigger
	cell   *Members
	now    clock
	// lacks is told of namespaces that have revocations, or none any more: they may have to be compiled, since there is nothing else.
	lacks func(namespace string)

	mu     sync.Mutex
	spaces map[string]*revokedSpace // guarded by mu; the map, not what is in it
}

// revokedSpace is what is remembered of a namespace.
type revokedSpace struct {
	history history

	mu       sync.Mutex
	kept     compile.Revocations         // guarded by mu
	outcomes []compile.RevocationOutcome // guarded by mu; not changed once there
}

var _ reconcile.TypedReconciler[string] = (*revoker)(nil)

// Reconcile brings the revocations of one namespace up to date.
func (r *revoker) Reconcile(ctx context.Context, namespace string) (reconcile.Result, error) {
	if at, err := r.cell.standing(ctx, namespace); err != nil || at == foreign {
		return reconcile.Result{}, err // the compiler forgets it
	}
	next, err := r.revoke(ctx, namespace)
	r.lacks(namespace)
	if err != nil || next.IsZero() {
		return reconcile.Result{}, err
	}
	return reconcile.Result{RequeueAfter: max(next.Sub(r.now()), time.Second)}, nil
}

// revoke hands out the revocations of a namespace, and returns when to do it again although nothing has changed; zero: never.
func (r *revoker) revoke(ctx context.Context, namespace string) (time.Time, error) {
	s := r.space(namespace)
	s.mu.Lock()
	defer s.mu.Unlock()
	var list revocationObjects
	if err := r.reader.List(ctx, &list, client.InNamespace(namespace)); err != nil {
		return time.Time{}, fmt.Errorf("list revocations: %w", err)
	}
	objects := make([]compile.Revocation, len(list.Items))
	for i := range list.Items {
		objects[i] = revocationOf(&list.Items[i])
	}
	set, outcomes, next := s.kept.Update(objects, r.now())
	s.outcomes = outcomes
	s.history.note(outcomes, set.Version())
	r.push.Revoke(namespace, set)
	r.status.Add(namespace)
	return next, nil
}

func revocationOf(o *revocationObject) compile.Revocation {
	problem := o.Spec.problem
	if problem == nil && len(o.Spec.entries) == 0 {
		problem = errors.New("spec: is missing")
	}
	return compile.Revocation{
		Name: o.Name, UID: string(o.UID), Generation: o.Generation, Created: o.CreationTimestamp.Time,
		Entries: o.Spec.entries, Problem: problem,
	}
}

func (r *revoker) space(namespace string) *revokedSpace {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.spaces[namespace]
	if s == nil {
		s = &revokedSpace{}
		if r.spaces == nil {
			r.spaces = map[string]*revokedSpace{}
		}
		r.spaces[namespace] = s
	}
	return s
}

// forget drops a namespace that nothing is left of.
func (r *revoker) forget(namespace string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.spaces, namespace)
}

func (s *revokedSpace) load() []compile.RevocationOutcome {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.outcomes
}

// Counted is what admission knows of the revocations of a namespace. The zero value is what Options take; it knows nothing before Setup.
type Counted struct {
	mu     sync.Mutex
	reader client.Reader // guarded by mu
}

func (c *Counted) use(r client.Reader) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reader = r
}

// Check returns an error if an object with these entries, which is there or not, has no room among the others of the namespace.
func (c *Counted) Check(ctx context.Context, namespace, name string, entries revoked.List, now time.Time) error {
	c.mu.Lock()
	reader := c.reader
	c.mu.Unlock()
	if reader == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, warningWait)
	defer cancel()
	var list revocationObjects
	if err := reader.List(ctx, &list, client.InNamespace(namespace)); err != nil {
		return nil //nolint:nilerr // what comes past this is found by the status
	}
	live, _ := entries.Live(now)
	own, total, before := len(live), len(live), 0
	for i := range list.Items {
		o := &list.Items[i]
		live, _ := o.Spec.entries.Live(now)
		if o.Name == name {
			before = len(live)
			continue
		}
		total += len(live)
	}
	if total <= revoked.Most || own < before { // what makes it fewer helps
		return nil
	}
	return fmt.Errorf("spec.entries: has %d entries: %w", own, compile.TooMany(total))
}
