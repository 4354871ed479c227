package keys

import (
	"context"
	"time"

	"golang.org/x/time/rate"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Bounds of watches. What exceeds them is polled.
const (
	maxWatches   = 1000
	maxWatchesOf = 64 // in one namespace
	// changesOf and changesAtOnce are how many changes of its objects a namespace is heard with, a second and at once: who
	// changes a key set all the time keeps itself waiting.
	changesOf     = 1
	changesAtOnce = 20
	// watchAgain is the wait before another try where a watch cannot be set up; watchSoon that after one that ended.
	watchAgain = time.Minute
	watchSoon  = 100 * time.Millisecond
)

// Watcher watches objects; a client.WithWatch is one.
type Watcher interface {
	Watch(context.Context, client.ObjectList, ...client.ListOption) (watch.Interface, error)
}

// watched are the watches of one namespace. Its fields are guarded by Resolver.mu.
type watched struct {
	stop  map[object]context.CancelFunc
	works map[object]bool // is set up, so that the object need not be polled
	pace  *rate.Limiter
}

// rewatch makes the watches of a namespace those of what it names now. It is called with mu held.
func (r *Resolver) rewatch(namespace string) {
	if r.options.Watcher == nil {
		return
	}
	w := r.watches[namespace]
	if w == nil {
		w = &watched{stop: map[object]context.CancelFunc{}, works: map[object]bool{}, pace: rate.NewLimiter(changesOf, changesAtOnce)}
		r.watches[namespace] = w
	}
	named := map[object]bool{}
	for _, id := range r.wanted[namespace] {
		e := r.entries[id]
		for _, of := range []func() (object, string, bool){e.source.holder, e.source.authority} {
			if o, _, ok := of(); ok && o.namespace == namespace { // all namespaces share the root of nonces, which is polled
				named[o] = true
			}
		}
	}
	for o, stop := range w.stop {
		if !named[o] {
			stop()
			delete(w.stop, o)
			delete(w.works, o)
			r.watching--
		}
	}
	for o := range named {
		if w.stop[o] != nil || len(w.stop) >= maxWatchesOf || r.watching >= maxWatches {
			continue
		}
		ctx, cancel := context.WithCancel(r.ctx)
		w.stop[o] = cancel
		r.watching++
		r.wait.Go(func() { r.watch(ctx, o, w) })
	}
	if len(w.stop) == 0 {
		delete(r.watches, namespace)
	}
}

// watch hears of the changes of one object until ctx is done.
func (r *Resolver) watch(ctx context.Context, o object, w *watched) {
	for ctx.Err() == nil {
		events, err := r.options.Watcher.Watch(ctx, listOf(o), client.InNamespace(o.namespace),
			client.MatchingFieldsSelector{Selector: fields.OneTermEqualSelector("metadata.name", o.name)})
		again := watchAgain
		if err == nil {
			r.setWorks(ctx, o, w, true)
			r.read(ctx, o) // of what is not there no watch tells
			again = watchSoon
			if !r.follow(ctx, o, events.ResultChan(), w.pace) {
				again = watchAgain
			}
			events.Stop()
		}
		r.setWorks(ctx, o, w, false)
		wait(ctx, again)
	}
}

// setWorks says whether an object need not be polled.
func (r *Resolver) setWorks(ctx context.Context, o object, w *watched, works bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if ctx.Err() == nil {
		w.works[o] = works
	}
}

// isWatched reports whether a watch of an object is set up. It is called with mu held.
func (r *Resolver) isWatched(o object) bool {
	w := r.watches[o.namespace]
	return w != nil && w.works[o]
}

// follow takes over what a watch tells, the newest of it where much comes at once. It reports whether it ended as watches do.
func (r *Resolver) follow(ctx context.Context, o object, events <-chan watch.Event, pace *rate.Limiter) bool {
	var newest *watch.Event
	var due <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return true
		case e, ok := <-events:
			switch {
			case !ok:
				return true
			case e.Type == watch.Error:
				err := apierrors.FromObject(e.Object)
				return apierrors.IsResourceExpired(err) || apierrors.IsGone(err)
			case !r.isNews(o, e):
				continue
			}
			if newest == nil {
				due = time.After(pace.Reserve().Delay())
			}
			newest = &e
		case <-due:
			r.happened(o, *newest)
			newest, due = nil, nil
		}
	}
}

// isNews reports whether an event is about the object and tells of what is not known yet.
func (r *Resolver) isNews(o object, e watch.Event) bool {
	it, ok := e.Object.(client.Object)
	if !ok || it.GetName() != o.name || it.GetNamespace() != o.namespace {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch e.Type {
	case watch.Added, watch.Modified:
		return r.seen[o] != it.GetResourceVersion()
	case watch.Deleted:
		return true
	case watch.Bookmark, watch.Error:
	}
	return false
}

// happened takes over one event.
func (r *Resolver) happened(o object, e watch.Event) {
	it := e.Object.(client.Object) //nolint:forcetypeassert // it is news
	data, version, err := dataOf(it), it.GetResourceVersion(), error(nil)
	if e.Type == watch.Deleted {
		data, version, err = nil, "", missing(o, apierrors.NewNotFound(schema.GroupResource{}, o.name))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	r.heard[o]++
	r.see(o, version)
	r.give(o, data, err)
}

func listOf(o object) client.ObjectList {
	if o.kind == secret {
		return &corev1.SecretList{}
	}
	return &corev1.ConfigMapList{}
}

// dataOf returns the entries of a Secret or ConfigMap.
func dataOf(o metav1.Object) map[string][]byte {
	switch x := o.(type) {
	case *corev1.Secret:
		return x.Data
	case *corev1.ConfigMap:
		data := map[string][]byte{}
		for k, v := range x.BinaryData {
			data[k] = v
		}
		for k, v := range x.Data {
			data[k] = []byte(v)
		}
		return data
	}
	return nil
}
