package authpolicy

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/controllers/compile"
	"github.com/bearerguard/bearerguard/controllers/keys"
	"github.com/bearerguard/bearerguard/controllers/push"
	"github.com/bearerguard/bearerguard/controllers/status"
	"github.com/bearerguard/bearerguard/controllers/trace"
)

const (
	// fieldOwner owns the status in the API server's books.
	fieldOwner = "bearerguard-controller"
	// lag is how far the cache may be behind a write of this replica.
	lag = 5 * time.Second
	// refresh is how often status is looked at without any cause, for the times in it.
	refresh = time.Hour
)

// writer writes the status of a namespace's policies and revocations. It runs on the leader.
type writer struct {
	reader   client.Reader
	client   client.Client
	compiler *compiler
	keys     *keys.Resolver
	push     *push.Server
	events   *recorder
	metrics  *Metrics
	elected  func() time.Time // since when this replica leads
	now      clock
	isolates bool // NetworkPolicies may be made

	mu      sync.Mutex
	written map[types.UID]written // guarded by mu
}

// written is a status that the cache may not have yet.
type written struct {
	namespace string
	at        time.Time
	status    any
}

// scene is what one look at a namespace finds.
type scene struct {
	namespace string
	result    *compile.Result
	revoked   *revokedSpace
	sidecars  map[string]push.Sidecar
	leaving   func(compile.Workload) bool
	elsewhere func(pod string) bool // whether another release injected it
	now       time.Time
	elected   time.Time
	looks     looks
	again     time.Time     // when to look again
	waited    time.Duration // for the API server
}

// by makes the next look happen by a time; zero: no matter.
func (s *scene) by(t time.Time) {
	if !t.IsZero() && t.Before(s.again) {
		s.again = t
	}
}

var _ reconcile.TypedReconciler[string] = (*writer)(nil)

// Reconcile writes those statuses of a namespace that are not what they should be, unless that has to rest.
func (w *writer) Reconcile(ctx context.Context, namespace string) (reconcile.Result, error) {
	known := w.compiler.known(namespace)
	if known != nil && known.writes.rest(w.now()) > 0 {
		return reconcile.Result{RequeueAfter: known.writes.rest(w.now())}, nil
	}
	ours, err := w.compiler.cell.owns(ctx, namespace)
	if err != nil {
		return reconcile.Result{}, err
	}
	if !ours || known == nil || known.load() == nil { // it is compiled first, and then comes here, or is gone
		w.prune(namespace, nil)
		w.metrics.set(namespace, nil)
		return reconcile.Result{}, nil
	}
	s := w.scene(ctx, namespace, known)
	s.looks = known.looks
	defer func() { known.writes.worked(s.now.Add(s.waited), w.now()) }()
	s.again = s.now.Add(refresh)
	here := map[types.UID]bool{}
	if err := w.policies(ctx, s, here); err != nil {
		return reconcile.Result{}, err
	}
	if err := w.revocations(ctx, s, here); err != nil {
		return reconcile.Result{}, err
	}
	w.prune(namespace, here)
	return reconcile.Result{RequeueAfter: max(s.again.Sub(s.now), time.Millisecond)}, nil
}

// scene is what is found of a namespace that has been compiled, without its looks.
func (w *writer) scene(ctx context.Context, namespace string, known *space) *scene {
	return &scene{
		namespace: namespace, result: known.load(), revoked: w.compiler.revoke.space(namespace), sidecars: w.push.Sidecars(namespace),
		leaving: w.leaving(ctx, namespace), elsewhere: w.compiler.cell.elsewhere(ctx, namespace), now: w.now(), elected: w.elected(),
	}
}

// policies writes the statuses of policies, and notes which there are.
func (w *writer) policies(ctx context.Context, s *scene, here map[types.UID]bool) error {
	var policies policyObjects
	if err := w.reader.List(ctx, &policies, client.InNamespace(s.namespace)); err != nil {
		return fmt.Errorf("list policies: %w", err)
	}
	objects := make(map[compile.PolicyRef]*policyObject, len(policies.Items))
	for i := range policies.Items {
		o := &policies.Items[i]
		objects[compile.PolicyRef{Name: o.Name, UID: string(o.UID), Generation: o.Generation}] = o
		here[o.UID] = true
	}
	fences, err := w.fence(ctx, s)
	if err != nil {
		return err
	}
	states := elsewhere(w.keys.States(s.namespace), w.push.Failing())
	statuses := make(map[string]v1alpha1.AuthPolicyStatus, len(policies.Items))
	for _, outcome := range s.result.Outcomes {
		o := objects[outcome.Ref()]
		if o == nil {
			continue // it has changed, and is compiled again
		}
		in := input(outcome, states, s.sidecars, s.leaving)
		if hidden := hiddenBy(outcome, s.result.Outcomes); hidden != "" {
			in.Note = strings.TrimPrefix(in.Note+"; "+hidden, "; ")
		}
		s.mark(in.Pods)
		fences.fill(&in, outcome)
		in.Now, in.Elected = s.now, s.elected
		if err := w.policy(ctx, s, o, in); err != nil {
			return err
		}
		statuses[o.Name] = s.looks[o.UID].status
		s.by(s.looks[o.UID].changes)
	}
	s.looks.retain(here)
	w.metrics.set(s.namespace, statuses)
	return nil
}

// policy writes the status of a policy, if it is made of something else than the last time and is another one.
func (w *writer) policy(ctx context.Context, s *scene, o *policyObject, in status.Input) error {
	sum := sumOf(o, &in)
	if s.looks[o.UID].holds(sum, s.now) {
		return nil
	}
	in.Previous = previous[v1alpha1.AuthPolicyStatus](w, o.UID, o.Status)
	next, changes := status.Compute(in)
	s.looks[o.UID] = look{sum: sum, at: s.now, changes: changes, status: next}
	if !status.Changed(in.Previous, next) {
		return nil
	}
	done, err := w.apply(ctx, s, o, "AuthPolicy", &next)
	if err == nil && done {
		w.events.policy(o, in.Previous, next)
		return nil
	}
	failed := s.looks[o.UID]
	failed.at = time.Time{} // to be looked at again
	s.looks[o.UID] = failed
	return err
}

// leaving says of pods whose sidecar is out of touch whether they are being deleted, or are gone: their sidecar ends before
// they do, and nothing is to be waited for. A change of that alone is no reason to compile, so it is looked up.
func (w *writer) leaving(ctx context.Context, namespace string) func(compile.Workload) bool {
	known := map[string]bool{} // many policies may select a pod
	look := func(x compile.Workload) bool {
		pod := podMetadata()
		err := w.reader.Get(ctx, client.ObjectKey{Namespace: namespace, Name: x.Name}, pod)
		if err != nil {
			return apierrors.IsNotFound(err)
		}
		return string(pod.UID) != x.UID || pod.DeletionTimestamp != nil
	}
	return func(x compile.Workload) bool {
		leaves, ok := known[x.UID]
		if !ok {
			leaves = look(x)
			known[x.UID] = leaves
		}
		return leaves
	}
}

// apply writes one status. It reports false if the object is gone.
func (w *writer) apply(ctx context.Context, s *scene, o client.Object, kind string, next any) (bool, error) {
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(next)
	if err != nil {
		return false, fmt.Errorf("encode status of %s %s/%s: %w", kind, o.GetNamespace(), o.GetName(), err)
	}
	u := &unstructured.Unstructured{Object: map[string]any{"status": fields}}
	u.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(kind))
	u.SetNamespace(o.GetNamespace())
	u.SetName(o.GetName())
	u.SetUID(o.GetUID())
	patch, err := u.MarshalJSON()
	if err != nil {
		return false, fmt.Errorf("encode status of %s %s/%s: %w", kind, o.GetNamespace(), o.GetName(), err)
	}
	// The answer is metadata alone: a revocation has thousands of entries.
	answer := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: o.GetNamespace(), Name: o.GetName()}}
	answer.SetGroupVersionKind(u.GroupVersionKind())
	began, step := w.now(), trace.Call(ctx, "write status")
	step.Text("bearerguard.object.kind", kind)
	step.Text("bearerguard.object.name", o.GetName())
	err = w.client.Status().Patch(ctx, answer, client.RawPatch(types.ApplyPatchType, patch), client.FieldOwner(fieldOwner), client.ForceOwnership)
	step.End(err)
	s.waited += w.now().Sub(began)
	switch {
	case apierrors.IsNotFound(err), apierrors.IsConflict(err):
		return false, nil // deleted, or made anew; whichever, it is not this object any more
	case err != nil:
		return false, fmt.Errorf("write status of %s %s/%s: %w", kind, o.GetNamespace(), o.GetName(), err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.written[o.GetUID()] = written{namespace: o.GetNamespace(), at: w.now(), status: next}
	return true, nil
}

// previous is the status that this replica has just written, or else the one that the cache has; the zero one if that cannot
// be read.
func previous[T any](w *writer, uid types.UID, cached json.RawMessage) T {
	w.mu.Lock()
	x, ok := w.written[uid]
	w.mu.Unlock()
	if ok && w.now().Sub(x.at) < lag {
		if s, ok := x.status.(*T); ok {
			return *s
		}
	}
	var s, zero T
	if len(cached) > 0 && json.Unmarshal(cached, &s) != nil {
		return zero
	}
	return s
}

// prune forgets what was written to objects of the namespace that are gone.
func (w *writer) prune(namespace string, here map[types.UID]bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for uid, x := range w.written {
		if x.namespace == namespace && !here[uid] {
			delete(w.written, uid)
		}
	}
}
