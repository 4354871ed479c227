package revsource

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/bearerguard/bearerguard/api/tracing"
	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/controllers/keys"
	"github.com/bearerguard/bearerguard/controllers/revstore"
	"github.com/bearerguard/bearerguard/controllers/status"
	"github.com/bearerguard/bearerguard/controllers/trace"
)

// Options are what Setup needs; all but Listen, TLS, AddReadyz, Ready, Owns, Held, Reached, Tracer and Metrics are required.
type Options struct {
	// Keys are how the keys of issuers are read; Changed and Checked are set here.
	Keys keys.Options
	// Client writes chunks, without a cache.
	Client client.Client
	// Chunks lists revstore.Objects, from a cache that the manager runs.
	Chunks client.Reader
	// Held is how many entries a namespace has. Default: none.
	Held func(namespace string) int
	// Reached returns how far the entries of a namespace's sources have got, by their UIDs; nil: that is not known yet. Default: it never is.
	Reached func(ctx context.Context, namespace string) func(uid string) status.Reached
	// Owns says which namespaces are this release's. Default: all.
	Owns func(ctx context.Context, namespace string) (bool, error)
	// Listen opens the port for events, and TLS is its configuration. nil: there is none, and sources that need it are told so.
	Listen func(context.Context) (net.Listener, error)
	TLS    *tls.Config
	// AddReadyz adds a check of readiness: that the port is open. Default: that of the manager.
	AddReadyz func(name string, check healthz.Checker) error
	// Ready is closed once TLS can be used. Default: it can.
	Ready <-chan struct{}
	// Metrics are counted into. Default: metrics that nobody reads.
	Metrics *Metrics
	// Tracer traces reconciliations. nil: none are traced.
	Tracer *tracing.Tracer
}

// Setup adds all of it to a manager: the port, the merging of chunks and the statuses.
func Setup(mgr manager.Manager, o Options) error {
	if o.Client == nil || o.Chunks == nil {
		return errors.New("revsource: Client and Chunks are required")
	}
	if o.Metrics == nil {
		o.Metrics = NewMetrics()
	}
	if o.Reached == nil {
		o.Reached = func(context.Context, string) func(string) status.Reached { return nil }
	}
	if o.Owns == nil {
		o.Owns = func(context.Context, string) (bool, error) { return true, nil }
	}
	if o.AddReadyz == nil {
		o.AddReadyz = mgr.AddReadyzCheck
	}
	log := mgr.GetLogger().WithName("revocations")
	store := &revstore.Store{Client: o.Client, Held: o.Held}
	r := newReceiver(store, o.Keys.Reader, o.Metrics, log)
	o.Keys.Checked = r.fresh.checked
	var err error
	if r.keys, err = keys.New(o.Keys); err != nil {
		return err
	}
	talks := &streams{receiver: r, fetch: o.Keys.Fetch, now: time.Now}
	load := &loader{reader: mgr.GetCache(), receiver: r, store: store, owns: o.Owns, enabled: o.Listen != nil}
	compactor := &revstore.Compactor{Reader: o.Chunks, Client: o.Client, Owns: o.Owns, Log: log}
	err = errors.Join(
		mgr.Add(everywhere(r.runKeys(o.Keys.Namespace != ""))),
		mgr.Add(manager.RunnableFunc(compactor.Run)), mgr.Add(manager.RunnableFunc(talks.Run)),
		addLoader(mgr, load, o.Tracer),
		addWriter(mgr, o.Tracer, &writer{
			reader: mgr.GetCache(), chunks: o.Chunks, client: mgr.GetClient(), receiver: r, streams: talks, owns: o.Owns, held: o.Held, reached: o.Reached, now: time.Now,
			written: map[types.UID]written{},
		}),
	)
	if err != nil || o.Listen == nil {
		return err
	}
	var open atomic.Bool
	return errors.Join(
		o.AddReadyz("events", func(*http.Request) error {
			if !open.Load() {
				return errors.New("the port for events is not open yet")
			}
			return nil
		}),
		mgr.Add(everywhere(func(ctx context.Context) error { return o.serve(ctx, r, load, &open) })),
	)
}

// serve opens the port once it is known which sources there are: many a provider sends an event once, and would take 404 for an answer.
func (o Options) serve(ctx context.Context, r *Receiver, load *loader, open *atomic.Bool) error {
	if o.Ready != nil {
		select {
		case <-o.Ready:
		case <-ctx.Done():
			return nil
		}
	}
	if !load.all(ctx) {
		return nil
	}
	lis, err := o.Listen(ctx)
	if err != nil {
		return fmt.Errorf("open the port for events: %w", err)
	}
	open.Store(true)
	return r.Serve(ctx, lis, o.TLS)
}

// loadAgain is how soon the first load is tried again.
const loadAgain = 200 * time.Millisecond

// all loads the sources of all namespaces, and reports false if ctx ended before.
func (l *loader) all(ctx context.Context) bool {
	for {
		if l.tryAll(ctx) == nil {
			return true
		}
		select {
		case <-time.After(loadAgain): // caches are being filled
		case <-ctx.Done():
			return false
		}
	}
}

func (l *loader) tryAll(ctx context.Context) error {
	var list v1alpha1.RevocationSourceList
	if err := l.reader.List(ctx, &list); err != nil {
		return fmt.Errorf("list revocation sources: %w", err)
	}
	done := map[string]bool{}
	for i := range list.Items {
		if namespace := list.Items[i].Namespace; !done[namespace] {
			if _, err := l.Reconcile(ctx, namespace); err != nil {
				return err
			}
			done[namespace] = true
		}
	}
	return nil
}

// runKeys reads keys, the last good ones of other replicas first.
func (r *Receiver) runKeys(shared bool) func(context.Context) error {
	return func(ctx context.Context) error {
		if shared {
			if err := r.keys.Recall(ctx); err != nil {
				r.log.Info("the last good keys of other replicas cannot be read; going on without", "cause", err.Error())
			}
		}
		return r.keys.Run(ctx)
	}
}

// everywhere runs on every replica, whether it leads or not.
type everywhere func(ctx context.Context) error

var _ manager.LeaderElectionRunnable = everywhere(nil)

// Start implements manager.Runnable.
func (f everywhere) Start(ctx context.Context) error { return f(ctx) }

// NeedLeaderElection implements manager.LeaderElectionRunnable.
func (everywhere) NeedLeaderElection() bool { return false }

// loader keeps the registry. It runs on every replica.
type loader struct {
	reader   client.Reader
	receiver *Receiver
	store    *revstore.Store
	owns     func(context.Context, string) (bool, error)
	enabled  bool
}

var _ reconcile.TypedReconciler[string] = (*loader)(nil)

// ownershipAgain is how often it is looked whether a namespace has changed hands.
const ownershipAgain = time.Minute

// Reconcile takes over the sources of one namespace.
func (l *loader) Reconcile(ctx context.Context, namespace string) (reconcile.Result, error) {
	ours, err := l.owns(ctx, namespace)
	if err != nil {
		return reconcile.Result{}, err
	}
	var list v1alpha1.RevocationSourceList
	if err := l.reader.List(ctx, &list, client.InNamespace(namespace)); err != nil {
		return reconcile.Result{}, fmt.Errorf("list revocation sources: %w", err)
	}
	var objects []*v1alpha1.RevocationSource
	for i := range list.Items {
		if o := &list.Items[i]; ours && o.DeletionTimestamp == nil {
			objects = append(objects, o)
		}
	}
	before := l.receiver.sources.of(namespace)
	sources := prepare(objects, l.enabled)
	l.receiver.keys.Want(namespace, wanted(sources)) // first: an event may come as soon as there is an endpoint
	l.receiver.sources.set(namespace, sources)
	l.receiver.credentials.retain(l.receiver.sources.all())
	here := map[revstore.Source]bool{}
	for _, s := range sources {
		here[s.ref] = true
	}
	for _, s := range before {
		if !here[s.ref] {
			l.receiver.metrics.forget(namespace, s.ref.Name)
		}
	}
	l.store.Forget(namespace, here)
	if len(list.Items) == 0 {
		return reconcile.Result{}, nil
	}
	return reconcile.Result{RequeueAfter: ownershipAgain}, nil
}

func addLoader(mgr manager.Manager, l *loader, tracer *tracing.Tracer) error {
	everywhere := false
	c, err := controller.NewTyped("revocation-sources", mgr, controller.TypedOptions[string]{
		Reconciler: trace.Namespaced(tracer, "revocation-sources", l), NeedLeaderElection: &everywhere,
	})
	if err != nil {
		return err
	}
	return c.Watch(source.TypedKind(mgr.GetCache(), &v1alpha1.RevocationSource{}, toNamespace(),
		predicate.TypedGenerationChangedPredicate[*v1alpha1.RevocationSource]{}))
}

// toNamespace makes an object's namespace the key.
func toNamespace() handler.TypedEventHandler[*v1alpha1.RevocationSource, string] {
	return handler.TypedEnqueueRequestsFromMapFunc(func(_ context.Context, o *v1alpha1.RevocationSource) []string { return []string{o.Namespace} })
}
