package authpolicy

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/bearerguard/bearerguard/api/tracing"
	"github.com/bearerguard/bearerguard/controllers/keys"
	"github.com/bearerguard/bearerguard/controllers/push"
	"github.com/bearerguard/bearerguard/controllers/revstore"
	"github.com/bearerguard/bearerguard/controllers/trace"
)

const workers = 4

// ackPause gathers acknowledgements before status is looked at, and pods that come and go before their namespace is: a pod takes
// longer than that to start.
const ackPause = 100 * time.Millisecond

// Triggers are how keys and sidecars make themselves heard. Give Keys.Add to the Resolver and Sidecars.Add to the Server
// as what to call on a change.
type Triggers struct {
	Keys, Sidecars *Trigger
}

// NewTriggers returns triggers for Setup.
func NewTriggers() Triggers {
	return Triggers{Keys: &Trigger{}, Sidecars: &Trigger{Delay: ackPause}}
}

// Options are what Setup needs; all but Metrics, Tracer, Neighbours, Counted, Reached, Live, Lend and Members are required.
type Options struct {
	// Metrics tell of policies. Default: metrics that nobody reads.
	Metrics *Metrics
	// Tracer traces reconciliations. nil: none are traced.
	Tracer   *tracing.Tracer
	Keys     *keys.Resolver
	Push     *push.Server
	Triggers Triggers
	// Neighbours and Counted are given the cache to answer from.
	Neighbours *Neighbours
	Counted    *Counted
	// Reached is given what knows how far revocations have got.
	Reached *Reached
	// Live is given it, too.
	Live *Live
	// Lend is given the cache, which has the RevocationChunks, as revstore.Objects. Default: nobody is.
	Lend func(cache.Cache)
	// Members say which namespaces are served. Default: all.
	Members *Members
	// NetworkPolicies lets NetworkPolicies be made for policies that ask for them; the client of the manager must have the right to it.
	NetworkPolicies bool
}

// Setup adds both controllers, and the cache that they read from, to a manager.
func Setup(mgr manager.Manager, o Options) error {
	if o.Keys == nil || o.Push == nil || o.Triggers.Keys == nil || o.Triggers.Sidecars == nil {
		return errors.New("authpolicy: Keys, Push and Triggers are required")
	}
	objects, err := newCache(mgr.GetConfig(), cache.Options{HTTPClient: mgr.GetHTTPClient(), Mapper: mgr.GetRESTMapper()})
	if err != nil {
		return err
	}
	if err := mgr.Add(everywhere{objects}); err != nil {
		return err
	}
	if o.Members == nil {
		o.Members = &Members{}
	}
	if o.Metrics == nil {
		o.Metrics = NewMetrics()
	}
	r := &revoker{reader: objects, push: o.Push, status: o.Triggers.Sidecars, now: time.Now, cell: o.Members}
	c := &compiler{
		reader: objects, keys: o.Keys, push: o.Push, status: o.Triggers.Sidecars, revoke: r, metrics: o.Metrics, now: time.Now,
		spaces: map[string]*space{}, cell: o.Members,
	}
	r.lacks = func(namespace string) {
		if c.known(namespace) == nil || r.space(namespace).objects() == 0 {
			o.Triggers.Keys.Add(namespace)
		}
	}
	o.lend(objects, r)
	if err := addRevoker(mgr, objects, trace.Namespaced(o.Tracer, "revoke", r), o.Members); err != nil {
		return err
	}
	if err := addDepartures(mgr, objects, o.Push.Leaving, o.Push.Gone); err != nil {
		return err
	}
	if err := addCompiler(mgr, objects, trace.Namespaced(o.Tracer, "compile", c), o.Triggers.Keys, o.Members); err != nil {
		return err
	}
	var since atomic.Pointer[time.Time]
	w := &writer{
		reader: objects, client: mgr.GetClient(), compiler: c, keys: o.Keys, push: o.Push, now: time.Now,
		metrics: o.Metrics, events: &recorder{events: mgr.GetEventRecorder(fieldOwner)}, written: map[types.UID]written{},
		elected: func() time.Time { return instant(since.Load()) }, isolates: o.NetworkPolicies,
	}
	if o.Reached != nil {
		o.Reached.use(w)
	}
	return addWriter(mgr, objects, w, o.Tracer, o.Triggers.Sidecars, func() {
		now := time.Now()
		since.Store(&now)
	})
}

// instant is a time, or the zero one.
func instant(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

// lend gives the cache to those who only read it.
func (o Options) lend(objects cache.Cache, r *revoker) {
	if o.Counted != nil {
		o.Counted.use(objects, r.held)
	}
	if o.Lend != nil {
		o.Lend(objects)
	}
	if n := o.Neighbours; n != nil {
		n.mu.Lock()
		n.reader = objects
		n.mu.Unlock()
	}
	if l := o.Live; l != nil {
		l.mu.Lock()
		l.reader = objects
		l.mu.Unlock()
	}
	o.Members.use(objects)
}

// everywhere makes a cache run on replicas that do not lead, too.
type everywhere struct{ cache.Cache }

var _ manager.LeaderElectionRunnable = everywhere{}

// NeedLeaderElection implements manager.LeaderElectionRunnable.
func (everywhere) NeedLeaderElection() bool { return false }

func addCompiler(mgr manager.Manager, objects cache.Cache, r reconcile.TypedReconciler[string], keys *Trigger, members *Members) error {
	everywhere := false
	c, err := controller.NewTyped("compile", mgr, controller.TypedOptions[string]{
		Reconciler: r, MaxConcurrentReconciles: workers, NeedLeaderElection: &everywhere,
	})
	if err != nil {
		return err
	}
	return watch(c, append(members.sources(objects),
		source.TypedKind(objects, &policyObject{}, toNamespace[*policyObject](), respecified[*policyObject]()),
		// It waits for the revocations to be there. What happens to them later is the revoker's.
		source.TypedKind(objects, &revocationObject{}, toNamespace[*revocationObject](), never[*revocationObject]()),
		source.TypedKind(objects, &revstore.Object{}, toNamespace[*revstore.Object](), never[*revstore.Object]()),
		source.TypedKind(objects, podMetadata(), toNamespaceLater[*metav1.PartialObjectMetadata](), members.concerned(),
			predicate.TypedFuncs[*metav1.PartialObjectMetadata]{
				UpdateFunc: func(e event.TypedUpdateEvent[*metav1.PartialObjectMetadata]) bool {
					return moved(e.ObjectOld, e.ObjectNew)
				},
			}),
		source.TypedFunc[string](keys.start),
	)...)
}

func addRevoker(mgr manager.Manager, objects cache.Cache, r reconcile.TypedReconciler[string], members *Members) error {
	everywhere := false
	c, err := controller.NewTyped("revoke", mgr, controller.TypedOptions[string]{
		Reconciler: r, MaxConcurrentReconciles: workers, NeedLeaderElection: &everywhere,
	})
	if err != nil {
		return err
	}
	return watch(c, append(members.sources(objects),
		source.TypedKind(objects, &revocationObject{}, toNamespace[*revocationObject](), respecified[*revocationObject]()),
		source.TypedKind(objects, &revstore.Object{}, toNamespace[*revstore.Object](), respecified[*revstore.Object]()))...)
}

func addWriter(mgr manager.Manager, objects cache.Cache, w *writer, tracer *tracing.Tracer, sidecars *Trigger, elected func()) error {
	c, err := controller.NewTyped("status", mgr, controller.TypedOptions[string]{
		Reconciler: trace.Namespaced(tracer, "status", w), MaxConcurrentReconciles: workers,
	})
	if err != nil {
		return err
	}
	sources := []source.TypedSource[string]{
		source.TypedFunc[string](func(ctx context.Context, q workqueue.TypedRateLimitingInterface[string]) error {
			elected()
			return sidecars.start(ctx, q)
		}),
		// Every namespace once when this replica becomes the leader, and whenever somebody else writes a status.
		source.TypedKind(objects, &policyObject{}, toNamespaceLater[*policyObject](), owned[*policyObject](w.compiler.cell)),
		source.TypedKind(objects, &revocationObject{}, toNamespaceLater[*revocationObject](), owned[*revocationObject](w.compiler.cell)),
	}
	if w.isolates {
		sources = append(sources, source.TypedKind(objects, &networkingv1.NetworkPolicy{}, toNamespaceLater[*networkingv1.NetworkPolicy](),
			owned[*networkingv1.NetworkPolicy](w.compiler.cell)))
	}
	return watch(c, sources...)
}

func watch(c controller.TypedController[string], sources ...source.TypedSource[string]) error {
	for _, s := range sources {
		if err := c.Watch(s); err != nil {
			return err
		}
	}
	return nil
}

// toNamespace makes an object's namespace the key.
func toNamespace[T client.Object]() handler.TypedEventHandler[T, string] {
	return handler.TypedEnqueueRequestsFromMapFunc(func(_ context.Context, o T) []string {
		return []string{o.GetNamespace()}
	})
}

// toNamespaceLater does the same for what comes in numbers and is not urgent: what comes within a pause comes as one.
func toNamespaceLater[T client.Object]() handler.TypedEventHandler[T, string] {
	later := func(o T, q workqueue.TypedRateLimitingInterface[string]) { q.AddAfter(o.GetNamespace(), ackPause) }
	return handler.TypedFuncs[T, string]{
		CreateFunc: func(_ context.Context, e event.TypedCreateEvent[T], q workqueue.TypedRateLimitingInterface[string]) {
			later(e.Object, q)
		},
		UpdateFunc: func(_ context.Context, e event.TypedUpdateEvent[T], q workqueue.TypedRateLimitingInterface[string]) {
			later(e.ObjectNew, q)
		},
		DeleteFunc: func(_ context.Context, e event.TypedDeleteEvent[T], q workqueue.TypedRateLimitingInterface[string]) {
			later(e.Object, q)
		},
	}
}

// never passes nothing: a controller only waits for such objects to be there.
func never[T client.Object]() predicate.TypedPredicate[T] {
	return predicate.NewTypedPredicateFuncs(func(T) bool { return false })
}

// respecified passes updates that change an object's spec.
func respecified[T client.Object]() predicate.TypedPredicate[T] {
	return predicate.TypedGenerationChangedPredicate[T]{}
}
