package authpolicy

import (
	"context"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/controllers/cell"
	"github.com/bearerguard/bearerguard/controllers/push"
	"github.com/bearerguard/bearerguard/controllers/status"
)

// membersWait is how long a sidecar waits for the cache to be filled.
const membersWait = time.Second

// Members says which namespaces this release serves, by their labels and their pods in the cache. The zero value serves all; one with a
// Cell is to be given to Setup and knows nothing before. It is safe for concurrent use.
type Members struct {
	// Cell is not to be changed once it is in use.
	Cell cell.Cell

	mu     sync.Mutex
	reader client.Reader // guarded by mu
}

// standing is what a namespace is to this release.
type standing int

const (
	// foreign is a namespace of another release, or none.
	foreign standing = iota
	// leaving is one whose label is another's and that has pods which this release injected: they know nobody else.
	leaving
	// member is one of this release's.
	member
)

// Serves returns an error for sidecars of a namespace that this release does not serve.
func (m *Members) Serves(ctx context.Context, namespace string) error {
	if m.Cell.All() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, membersWait)
	defer cancel()
	at, err := m.standing(ctx, namespace)
	switch {
	case err != nil:
		return fmt.Errorf("which release serves namespace %s is %w", namespace, push.ErrNotNow)
	case at == foreign:
		return m.refusal(ctx, namespace)
	}
	return nil
}

// refusal says why a namespace is not served.
func (m *Members) refusal(ctx context.Context, namespace string) error {
	labels, _, err := m.labels(ctx, namespace)
	if err != nil {
		return fmt.Errorf("which release serves namespace %s is %w", namespace, push.ErrNotNow)
	}
	return m.Cell.Refusal(namespace, labels)
}

// Owns reports whether a namespace is this release's own. An error: it is not known.
func (m *Members) Owns(ctx context.Context, namespace string) (bool, error) {
	return m.owns(ctx, namespace)
}

// owns reports whether a namespace's statuses are this release's to write.
func (m *Members) owns(ctx context.Context, namespace string) (bool, error) {
	if m.Cell.All() {
		return true, nil
	}
	labels, there, err := m.labels(ctx, namespace)
	return there && m.Cell.Owns(labels), err
}

// standing says what a namespace is to this release.
func (m *Members) standing(ctx context.Context, namespace string) (standing, error) {
	ours, err := m.owns(ctx, namespace)
	if err != nil {
		return foreign, err
	}
	if ours {
		return member, nil
	}
	pods := podMetadataList()
	if err := m.cached().List(ctx, pods, client.InNamespace(namespace)); err != nil {
		return foreign, fmt.Errorf("list pods: %w", err)
	}
	for i := range pods.Items {
		if m.injected(&pods.Items[i]) {
			return leaving, nil
		}
	}
	return foreign, nil
}

// injected reports whether this release injected a pod.
func (m *Members) injected(p *metav1.PartialObjectMetadata) bool {
	return injected(p) && m.Cell.Injected(p.Annotations[v1alpha1.AnnotationInjected])
}

// elsewhere returns what says of a pod of a namespace whether another release injected it.
func (m *Members) elsewhere(ctx context.Context, namespace string) func(pod string) bool {
	if m.Cell.All() {
		return func(string) bool { return false }
	}
	return func(name string) bool {
		pod := podMetadata()
		return m.cached().Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, pod) == nil && injected(pod) && !m.injected(pod)
	}
}

// mark notes which of the pods whose sidecars are out of touch are with another release.
func (s *scene) mark(pods []status.Pod) {
	for i := range pods {
		if p := &pods[i]; !p.Heard && !p.Bare {
			p.Elsewhere = s.elsewhere(p.Name)
		}
	}
}

// labels returns those of a namespace, and whether it is there.
func (m *Members) labels(ctx context.Context, namespace string) (map[string]string, bool, error) {
	reader := m.cached()
	if reader == nil {
		return nil, false, fmt.Errorf("read namespace %s: %w", namespace, push.ErrNotNow)
	}
	ns := namespaceMetadata()
	switch err := reader.Get(ctx, client.ObjectKey{Name: namespace}, ns); {
	case apierrors.IsNotFound(err):
		return nil, false, nil
	case err != nil:
		return nil, false, fmt.Errorf("read namespace %s: %w", namespace, err)
	}
	return ns.Labels, true, nil
}

func (m *Members) use(r client.Reader) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reader = r
}

func (m *Members) cached() client.Reader {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.reader
}

// sources add a namespace to a queue when it comes, goes or changes hands.
func (m *Members) sources(objects cache.Cache) []source.TypedSource[string] {
	if m.Cell.All() {
		return nil
	}
	itself := handler.TypedEnqueueRequestsFromMapFunc(func(_ context.Context, n *metav1.PartialObjectMetadata) []string { return []string{n.Name} })
	return []source.TypedSource[string]{source.TypedKind(objects, namespaceMetadata(), itself, predicate.TypedFuncs[*metav1.PartialObjectMetadata]{
		UpdateFunc: func(e event.TypedUpdateEvent[*metav1.PartialObjectMetadata]) bool {
			return m.Cell.Owns(e.ObjectOld.Labels) != m.Cell.Owns(e.ObjectNew.Labels)
		},
	})}
}

// concerned passes pods that this release has injected and those of its own namespaces: the others of the cluster come and go without
// it.
func (m *Members) concerned() predicate.TypedPredicate[*metav1.PartialObjectMetadata] {
	return predicate.NewTypedPredicateFuncs(func(p *metav1.PartialObjectMetadata) bool { return m.injected(p) || m.mayOwn(p.Namespace) })
}

// owned passes objects of this release's own namespaces.
func owned[T client.Object](m *Members) predicate.TypedPredicate[T] {
	return predicate.NewTypedPredicateFuncs(func(o T) bool { return m.mayOwn(o.GetNamespace()) })
}

// mayOwn reports whether a namespace is this release's as far as it is known.
func (m *Members) mayOwn(namespace string) bool {
	if m.Cell.All() {
		return true
	}
	ctx, cancel := context.WithTimeout(context.Background(), membersWait)
	defer cancel()
	ours, err := m.owns(ctx, namespace)
	return ours || err != nil
}

// stays forgets a namespace that is not served any more. It reports whether it is.
func (c *compiler) stays(ctx context.Context, namespace string) (bool, error) {
	at, err := c.cell.standing(ctx, namespace)
	if err != nil || at != foreign {
		return at != foreign, err
	}
	if c.known(namespace) == nil && !c.revoke.knows(namespace) {
		return false, nil
	}
	cause := c.cell.refusal(ctx, namespace)
	c.push.Leave(namespace, cause)
	c.keys.Want(namespace, nil)
	c.forget(namespace)
	c.revoke.forget(namespace)
	c.status.Add(namespace)
	return false, nil
}

// knows reports whether something is remembered of a namespace.
func (r *revoker) knows(namespace string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.spaces[namespace] != nil
}
