package revsource

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/api/revoked"
	"github.com/bearerguard/bearerguard/api/tracing"
	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/controllers/revstore"
	"github.com/bearerguard/bearerguard/controllers/status"
	"github.com/bearerguard/bearerguard/controllers/trace"
)

const (
	// fieldOwner owns the status in the API server's books.
	fieldOwner = "bearerguard-controller"
	// lookEvery is how often the sources of a namespace are looked at, and written if something has changed.
	lookEvery = 5 * time.Second
	// lag is how far the cache may be behind a write of this replica.
	lag = 5 * time.Second
)

// writer writes the statuses of a namespace's sources. It runs on the leader.
type writer struct {
	reader   client.Reader
	chunks   client.Reader
	client   client.Client
	receiver *Receiver
	streams  *streams
	owns     func(context.Context, string) (bool, error)
	held     func(namespace string) int
	reached  func(ctx context.Context, namespace string) func(uid string) status.Reached
	now      func() time.Time
	written  map[types.UID]written // one worker alone has it
}

// written is a status that the cache may not have yet.
type written struct {
	at     time.Time
	status v1alpha1.RevocationSourceStatus
}

var _ reconcile.TypedReconciler[string] = (*writer)(nil)

// Reconcile writes those statuses of a namespace that are not what they should be.
func (w *writer) Reconcile(ctx context.Context, namespace string) (reconcile.Result, error) {
	if ours, err := w.owns(ctx, namespace); err != nil || !ours {
		w.receiver.metrics.set(namespace, nil)
		return reconcile.Result{}, err
	}
	sources := w.receiver.sources.of(namespace)
	if len(sources) == 0 {
		w.receiver.metrics.set(namespace, nil)
		var list v1alpha1.RevocationSourceList
		if err := w.reader.List(ctx, &list, client.InNamespace(namespace)); err != nil || len(list.Items) == 0 {
			return reconcile.Result{}, err
		}
		return reconcile.Result{RequeueAfter: time.Second}, nil // the loader has not seen them yet
	}
	kept, err := w.kept(ctx, namespace)
	if err != nil {
		return reconcile.Result{}, err
	}
	states := w.receiver.keys.States(namespace)
	full := w.held != nil && w.held(namespace) >= revoked.Most-revstore.Reserve
	reached := w.reached(ctx, namespace)
	statuses := map[string]v1alpha1.RevocationSourceStatus{}
	for _, s := range sources {
		state, talk := states[s.keyID], w.streams.of(s.ref.UID)
		if x := s.spec.SharedSignals; x != nil && x.Delivery == policy.Push && talk.err == nil && s.problem == nil {
			_, talk.err = w.receiver.credentials.get(ctx, s, entryReceived, credentialsAge)
		}
		in := status.Source{
			Generation: s.object.Generation, Now: w.now(), Problem: s.problem, Reason: s.reason, Endpoint: s.endpoint(),
			Keys: state.Keys, KeysErr: state.Err, Entries: kept[s.ref.UID].entries, LastEvent: kept[s.ref.UID].last, Full: full,
			StreamErr: talk.err, Fetched: talk.fetched, Asked: talk.asked,
			Previous: w.previous(ctx, s.object),
		}
		if reached != nil { // of just the entries that sidecars have been given
			r := reached(s.ref.UID)
			in.Reached, in.Entries, in.LastEvent = &r, r.Entries, r.LastEvent
		}
		next := status.ComputeSource(in)
		statuses[s.ref.Name] = next
		if err := w.write(ctx, s.object, next); err != nil {
			return reconcile.Result{}, err
		}
	}
	w.receiver.metrics.set(namespace, statuses)
	w.prune()
	return reconcile.Result{RequeueAfter: lookEvery}, nil
}

// kept is what the chunks of a source have.
type kept struct {
	entries int
	last    time.Time
}

// kept counts what is in the chunks of a namespace, by the UID of their source.
func (w *writer) kept(ctx context.Context, namespace string) (map[string]kept, error) {
	var chunks revstore.Objects
	if err := w.chunks.List(ctx, &chunks, client.InNamespace(namespace)); err != nil {
		return nil, fmt.Errorf("list chunks of revocations: %w", err)
	}
	out := map[string]kept{}
	for i := range chunks.Items {
		o := &chunks.Items[i]
		k := out[o.Owner()]
		if k.entries += len(o.Spec.Entries); o.Spec.LastEvent.After(k.last) {
			k.last = o.Spec.LastEvent
		}
		out[o.Owner()] = k
	}
	return out, nil
}

// previous is the status that this replica has just written, or else the one that the cache has.
func (w *writer) previous(ctx context.Context, o *v1alpha1.RevocationSource) v1alpha1.RevocationSourceStatus {
	if x, ok := w.written[o.UID]; ok && w.now().Sub(x.at) < lag {
		return x.status
	}
	var now v1alpha1.RevocationSource
	if err := w.reader.Get(ctx, client.ObjectKeyFromObject(o), &now); err != nil || now.UID != o.UID {
		return o.Status
	}
	return now.Status
}

// prune forgets what the cache has by now.
func (w *writer) prune() {
	for uid, x := range w.written {
		if w.now().Sub(x.at) >= lag {
			delete(w.written, uid)
		}
	}
}

// write writes one status, if it is worth it.
func (w *writer) write(ctx context.Context, o *v1alpha1.RevocationSource, next v1alpha1.RevocationSourceStatus) error {
	if !status.SourceChanged(w.previous(ctx, o), next) {
		return nil
	}
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&next)
	if err != nil {
		return fmt.Errorf("encode status of RevocationSource %s/%s: %w", o.Namespace, o.Name, err)
	}
	u := &unstructured.Unstructured{Object: map[string]any{"status": fields}}
	u.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("RevocationSource"))
	u.SetNamespace(o.Namespace)
	u.SetName(o.Name)
	u.SetUID(o.UID)
	patch, err := u.MarshalJSON()
	if err != nil {
		return fmt.Errorf("encode status of RevocationSource %s/%s: %w", o.Namespace, o.Name, err)
	}
	answer := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: o.Namespace, Name: o.Name}}
	answer.SetGroupVersionKind(u.GroupVersionKind())
	step := trace.Call(ctx, "write status")
	step.Text("bearerguard.object.kind", "RevocationSource")
	step.Text("bearerguard.object.name", o.Name)
	err = w.client.Status().Patch(ctx, answer, client.RawPatch(types.ApplyPatchType, patch), client.FieldOwner(fieldOwner), client.ForceOwnership)
	step.End(err)
	switch {
	case apierrors.IsNotFound(err), apierrors.IsConflict(err):
		return nil // deleted, or made anew
	case err != nil:
		return fmt.Errorf("write status of RevocationSource %s/%s: %w", o.Namespace, o.Name, err)
	}
	w.written[o.UID] = written{w.now(), next}
	return nil
}

func addWriter(mgr manager.Manager, tracer *tracing.Tracer, w *writer) error {
	c, err := controller.NewTyped("revocation-source-status", mgr, controller.TypedOptions[string]{
		Reconciler: trace.Namespaced(tracer, "revocation-source-status", w),
	})
	if err != nil {
		return err
	}
	return c.Watch(source.TypedKind(mgr.GetCache(), &v1alpha1.RevocationSource{}, toNamespace()))
}
