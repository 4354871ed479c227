package authpolicy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/bearerguard/bearerguard/api/revoked"
	"github.com/bearerguard/bearerguard/controllers/compile"
	"github.com/bearerguard/bearerguard/controllers/push"
	"github.com/bearerguard/bearerguard/controllers/revstore"
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
	outcomes []compile.RevocationOutcome // guarded by mu; of TokenRevocations; not changed once there
	chunks   int                         // guarded by mu; how many RevocationChunks there are
	entries  int                         // guarded by mu; of all of them
	sources  map[string]*sourceEntries   // guarded by mu; by UID of the RevocationSource; not changed once there
	handed   time.Time                   // guarded by mu; when the newest set was handed out
}

var _ reconcile.TypedReconciler[string] = (*revoker)(nil)

// Reconcile brings the revocations of one namespace up to date.
func (r *revoker) Reconcile(ctx context.Context, namespace string) (reconcile.Result, error) {
	if at, err := r.cell.standing(ctx, namespace); err != nil || at == foreign {
		return reconcile.Result{}, err // the compiler forgets it
	}
	if rest := r.space(namespace).rest(r.now()); rest > 0 {
		return reconcile.Result{RequeueAfter: rest}, nil
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
	var chunks revstore.Objects
	if err := r.reader.List(ctx, &chunks, client.InNamespace(namespace)); err != nil {
		return time.Time{}, fmt.Errorf("list chunks of revocations: %w", err)
	}
	for i := range chunks.Items {
		objects = append(objects, chunkOf(&chunks.Items[i]))
	}
	set, all, next := s.kept.Update(objects, r.now())
	// Nobody waits for a chunk by its name, so those have no steps in the history; sources have.
	outcomes := slices.DeleteFunc(all, func(o compile.RevocationOutcome) bool { return strings.HasPrefix(o.Ref.Name, chunkPrefix) })
	s.outcomes, s.chunks, s.entries, s.handed = outcomes, len(chunks.Items), set.Len(), r.now()
	s.sources = gatherSources(chunks.Items, all, s.sources)
	s.history.note(withSources(outcomes, s.sources), set.Version())
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

// chunkPrefix tells chunks from TokenRevocations, whose names cannot have it.
const chunkPrefix = "chunk/"

func chunkOf(o *revstore.Object) compile.Revocation {
	return compile.Revocation{
		Name: chunkPrefix + o.Name, UID: string(o.UID), Generation: o.Generation, Created: o.CreationTimestamp.Time, Entries: o.Spec.Entries,
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

// gapOf is how long a namespace's set of some entries is left alone once it has been handed out: a large one costs every sidecar some tens of
// milliseconds, and where events come in floods it changes ten times a second. What comes after a pause is handed out at once.
func gapOf(entries int) time.Duration {
	return time.Duration(entries) * time.Second / (2 * revoked.Most)
}

// rest is how long the set is to be left alone still.
func (s *revokedSpace) rest(now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.handed.Add(gapOf(s.entries)).Sub(now)
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

// objects is how many objects have entries.
func (s *revokedSpace) objects() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.outcomes) + s.chunks
}

// Counted is what admission knows of the revocations of a namespace. The zero value is what Options take; it knows nothing before Setup.
type Counted struct {
	mu     sync.Mutex
	reader client.Reader              // guarded by mu
	held   func(namespace string) int // guarded by mu
}

func (c *Counted) use(r client.Reader, held func(namespace string) int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reader, c.held = r, held
}

// Held is how many entries a namespace has, of TokenRevocations and RevocationSources together.
func (c *Counted) Held(namespace string) int {
	c.mu.Lock()
	held := c.held
	c.mu.Unlock()
	if held == nil {
		return 0
	}
	return held(namespace)
}

// held is how many entries a namespace has.
func (r *revoker) held(namespace string) int {
	r.mu.Lock()
	s := r.spaces[namespace]
	r.mu.Unlock()
	if s == nil {
		return 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.entries
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
	var chunks revstore.Objects
	if err := reader.List(ctx, &chunks, client.InNamespace(namespace)); err != nil {
		return nil //nolint:nilerr // likewise
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
	for i := range chunks.Items {
		live, _ := chunks.Items[i].Spec.Entries.Live(now)
		total += len(live)
	}
	if total <= revoked.Most || own < before { // what makes it fewer helps
		return nil
	}
	return fmt.Errorf("spec.entries: has %d entries: %w", own, compile.TooMany(total))
}
