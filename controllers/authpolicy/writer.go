package authpolicy

import (
	"context"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/controllers/compile"
	"github.com/bearerguard/bearerguard/controllers/keys"
	"github.com/bearerguard/bearerguard/controllers/push"
	"github.com/bearerguard/bearerguard/controllers/status"
)

const (
	// fieldOwner owns the status in the API server's books.
	fieldOwner = "bearerguard-controller"
	// settling is how long a new leader waits for sidecars and replicas to be heard of.
	settling = 30 * time.Second
	// lag is how far the cache may be behind a write of this replica.
	lag = 5 * time.Second
	// refresh is how often status is looked at without any cause, for the times in it.
	refresh = time.Hour
)

// writer writes the status of a namespace's policies. It runs on the leader.
type writer struct {
	reader   client.Reader
	client   client.Client
	compiler *compiler
	keys     *keys.Resolver
	push     *push.Server
	events   *recorder
	elected  func() time.Time // since when this replica leads
	now      clock

	mu      sync.Mutex
	written map[string]written // guarded by mu; by policy UID
}

// written is a status that the cache may not have yet.
type written struct {
	namespace string
	at        time.Time
	status    v1alpha1.AuthPolicyStatus
}

var _ reconcile.TypedReconciler[string] = (*writer)(nil)

// Reconcile writes the status of each policy of a namespace whose status is not what it should be.
func (w *writer) Reconcile(ctx context.Context, namespace string) (reconcile.Result, error) {
	result := w.compiler.result(namespace)
	if result == nil {
		return reconcile.Result{}, nil // it is compiled first, and then comes here
	}
	var policies policyObjects
	if err := w.reader.List(ctx, &policies, client.InNamespace(namespace)); err != nil {
		return reconcile.Result{}, fmt.Errorf("list policies: %w", err)
	}
	objects := map[compile.PolicyRef]*policyObject{}
	for i := range policies.Items {
		o := &policies.Items[i]
		objects[compile.PolicyRef{Name: o.Name, UID: string(o.UID), Generation: o.Generation}] = o
	}
	w.events.revocations(namespace, result.Revocations)
	states, sidecars := w.keys.States(namespace), w.push.Sidecars(namespace)
	now := w.now()
	young := w.elected().Add(settling).Sub(now)
	again := now.Add(refresh)
	if young > 0 {
		again = now.Add(young)
	}
	for _, outcome := range result.Outcomes {
		o := objects[outcome.Ref()]
		if o == nil {
			continue // it has changed, and is compiled again
		}
		in := input(outcome, states, sidecars, w.leaving(ctx, namespace))
		in.Now, in.Settling, in.Previous = now, young > 0, w.previous(o)
		next, changes := status.Compute(in)
		if !changes.IsZero() && changes.Before(again) {
			again = changes
		}
		if err := w.write(ctx, o, in.Previous, next); err != nil {
			return reconcile.Result{}, err
		}
	}
	w.prune(namespace, objects)
	return reconcile.Result{RequeueAfter: max(again.Sub(now), time.Millisecond)}, nil
}

// leaving says of pods whose sidecar is out of touch whether they are being deleted, or are gone: their sidecar ends before
// they do, and nothing is to be waited for. A change of that alone is no reason to compile, so it is looked up.
func (w *writer) leaving(ctx context.Context, namespace string) func(compile.Workload) bool {
	return func(x compile.Workload) bool {
		pod := podMetadata()
		err := w.reader.Get(ctx, client.ObjectKey{Namespace: namespace, Name: x.Name}, pod)
		if err != nil {
			return apierrors.IsNotFound(err)
		}
		return string(pod.UID) != x.UID || pod.DeletionTimestamp != nil
	}
}

// write applies one status, if it is worth it, and tells of what is new in it.
func (w *writer) write(ctx context.Context, o *policyObject, previous, next v1alpha1.AuthPolicyStatus) error {
	if !status.Changed(previous, next) {
		return nil
	}
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&next)
	if err != nil {
		return fmt.Errorf("encode status of policy %s/%s: %w", o.Namespace, o.Name, err)
	}
	u := &unstructured.Unstructured{Object: map[string]any{"status": fields}}
	u.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("AuthPolicy"))
	u.SetNamespace(o.Namespace)
	u.SetName(o.Name)
	u.SetUID(o.UID)
	err = w.client.Status().Apply(ctx, client.ApplyConfigurationFromUnstructured(u), client.FieldOwner(fieldOwner), client.ForceOwnership)
	switch {
	case apierrors.IsNotFound(err), apierrors.IsConflict(err):
		return nil // deleted, or made anew; whichever, it is not this object any more
	case err != nil:
		return fmt.Errorf("write status of policy %s/%s: %w", o.Namespace, o.Name, err)
	}
	w.mu.Lock()
	w.written[string(o.UID)] = written{namespace: o.Namespace, at: w.now(), status: next}
	w.mu.Unlock()
	w.events.policy(o, previous, next)
	return nil
}

// previous is the status that this replica has just written, or else the one that the cache has.
func (w *writer) previous(o *policyObject) v1alpha1.AuthPolicyStatus {
	w.mu.Lock()
	defer w.mu.Unlock()
	if x, ok := w.written[string(o.UID)]; ok && w.now().Sub(x.at) < lag {
		return x.status
	}
	return statusOf(o)
}

// prune forgets policies of the namespace that are gone.
func (w *writer) prune(namespace string, objects map[compile.PolicyRef]*policyObject) {
	here := map[string]bool{}
	for ref := range objects {
		here[ref.UID] = true
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for uid, x := range w.written {
		if x.namespace == namespace && !here[uid] {
			delete(w.written, uid)
		}
	}
}
