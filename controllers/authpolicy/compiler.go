package authpolicy

import (
	"context"
	"strconv"
	"sync"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/controllers/compile"
	"github.com/bearerguard/bearerguard/controllers/keys"
	"github.com/bearerguard/bearerguard/controllers/push"
	"github.com/bearerguard/bearerguard/controllers/trace"
)

const (
	// settleFirst is how long the first compilation of a namespace waits for its keys: sidecars have something better
	// than a bundle without keys until then.
	settleFirst = 3 * time.Second
	// settleLater is how long later ones wait for sources that are new.
	settleLater = 500 * time.Millisecond
)

// compiler compiles a namespace and hands the bundles to the push server. It runs on every replica.
type compiler struct {
	reader  client.Reader
	keys    *keys.Resolver
	push    *push.Server
	status  *Trigger
	revoke  *revoker
	cell    *Members
	metrics *Metrics
	now     clock

	mu     sync.Mutex
	spaces map[string]*space // guarded by mu; the map, not what is in it
}

// space is what is remembered of a namespace. Neither controller works on one namespace twice at a time.
type space struct {
	policies decoded
	memory   compile.Memory
	wanted   uint64    // the revision of the policies whose keys have been asked for
	deadline time.Time // until when keys are waited for; zero: they are not
	pace     pace
	looks    looks // the writer's alone
	writes   pace  // the writer's alone

	mu     sync.Mutex
	result *compile.Result // guarded by mu; the newest
}

var _ reconcile.TypedReconciler[string] = (*compiler)(nil)

// Reconcile compiles one namespace, unless that has to rest or to wait for its keys.
func (c *compiler) Reconcile(ctx context.Context, namespace string) (reconcile.Result, error) {
	began := c.now()
	if s := c.known(namespace); s != nil && s.pace.rest(began) > 0 {
		return reconcile.Result{RequeueAfter: s.pace.rest(began)}, nil
	}
	if stays, err := c.stays(ctx, namespace); !stays {
		return reconcile.Result{}, err
	}
	s := c.space(namespace)
	defer func() { s.pace.worked(began, c.now()) }()
	step := trace.Do(ctx, "gather")
	snapshot, err := gather(ctx, c.reader, namespace, s.policies)
	step.Int("bearerguard.policies", len(snapshot.Policies))
	step.Int("bearerguard.pods", len(snapshot.Workloads))
	if step.End(err); err != nil {
		return reconcile.Result{}, err
	}
	if wait := c.resolve(s, &snapshot); wait > 0 {
		return reconcile.Result{RequeueAfter: wait}, nil
	}
	result, err := c.compile(ctx, s, snapshot)
	if err != nil {
		return reconcile.Result{}, err
	}
	if result.Anew {
		c.metrics.compiles.Inc()
	}
	step = trace.Do(ctx, "revoke")
	_, err = c.revoke.revoke(ctx, namespace)
	if step.End(err); err != nil { // first: without revocations no sidecar may judge by the bundles
		return reconcile.Result{}, err
	}
	c.push.SetBelow(trace.Of(ctx).Span(), namespace, targets(snapshot, result))
	s.store(&result)
	c.status.Add(namespace)
	if len(snapshot.Policies)+len(snapshot.Workloads)+c.revoke.space(namespace).objects() == 0 {
		c.forget(namespace)
		c.revoke.forget(namespace)
	}
	return reconcile.Result{}, nil
}

// compile compiles what was gathered.
func (c *compiler) compile(ctx context.Context, s *space, snapshot compile.Snapshot) (compile.Result, error) {
	step := trace.Do(ctx, "compile")
	result, err := s.memory.Compile(snapshot)
	step.Int("bearerguard.policies", len(result.Outcomes))
	step.Text("bearerguard.anew", strconv.FormatBool(result.Anew))
	step.End(err)
	return result, err
}

// resolve adds the keys that there are, or returns how long to wait for more: the namespace is looked at again then, and when a
// source has been read.
func (c *compiler) resolve(s *space, snapshot *compile.Snapshot) (wait time.Duration) {
	if revision := s.memory.Admit(*snapshot); revision != s.wanted {
		var sources []keys.Source
		for _, p := range s.memory.Wanted() {
			sources = append(sources, keys.SourcesOf(p.Namespace, p.Spec)...)
		}
		c.keys.Want(snapshot.Namespace, sources)
		s.wanted = revision
	}
	if wait := c.patience(s, snapshot.Namespace); wait > 0 {
		return wait
	}
	s.deadline = time.Time{}
	snapshot.Keys = map[string]bundle.KeySet{}
	for id, state := range c.keys.States(snapshot.Namespace) {
		if state.Keys > 0 {
			snapshot.Keys[id] = state.Set
		}
	}
	return 0
}

// patience is how long a namespace is still to wait for its keys.
func (c *compiler) patience(s *space, namespace string) time.Duration {
	if c.keys.Settled(namespace) {
		return 0
	}
	now := c.now()
	if s.deadline.IsZero() {
		s.deadline = now.Add(settleLater)
		if s.load() == nil {
			s.deadline = now.Add(settleFirst)
		}
	}
	return max(0, s.deadline.Sub(now))
}

func targets(s compile.Snapshot, r compile.Result) map[string]push.Target {
	out := make(map[string]push.Target, len(s.Workloads))
	for _, w := range s.Workloads {
		out[w.UID] = push.Target{Pod: w.Name, Bundle: r.Bundles[w.UID]}
	}
	return out
}

func (c *compiler) space(namespace string) *space {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.spaces[namespace]
	if s == nil {
		s = &space{policies: decoded{}, looks: looks{}}
		c.spaces[namespace] = s
	}
	return s
}

func (c *compiler) forget(namespace string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.spaces, namespace)
}

// known returns what is remembered of a namespace; nil: it has not been compiled yet.
func (c *compiler) known(namespace string) *space {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.spaces[namespace]
}

func (s *space) store(r *compile.Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.result = r
}

func (s *space) load() *compile.Result {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.result
}
