package keys

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	readTimeout   = 5 * time.Second
	readsASecond  = 20
	maxObjectSize = 1 << 20 // bytes of one entry; the API server takes no more in a whole object
)

// Run reads Secrets and ConfigMaps that cannot be watched again and again until ctx is done, and closes the Resolver then.
func (r *Resolver) Run(ctx context.Context) error {
	defer r.Close()
	r.wait.Go(func() { r.recallWhenStarved(ctx) })
	most := max(1, int(r.options.Poll*readsASecond/time.Second))
	var turns rota
	for {
		objects := turns.next(r.objects(), most)
		every := max(r.options.Poll, time.Duration(len(objects))*time.Second/readsASecond)
		if len(objects) == 0 {
			if !wait(ctx, every) {
				return nil
			}
			continue
		}
		for _, o := range objects {
			if !wait(ctx, every/time.Duration(len(objects))) {
				return nil
			}
			r.read(ctx, o)
		}
	}
}

func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// objects returns all that is named, but for what has been read and is watched.
func (r *Resolver) objects() []object {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []object
	named := map[object]bool{}
	for _, e := range r.entries {
		for _, of := range []func() (object, string, bool){e.source.holder, e.source.authority} {
			if o, _, ok := of(); ok && !named[o] {
				if named[o] = true; r.seen[o] == "" || !r.isWatched(o) {
					out = append(out, o)
				}
			}
		}
	}
	for o := range r.seen {
		if !named[o] {
			delete(r.seen, o)
		}
	}
	maps.DeleteFunc(r.heard, func(o object, _ uint64) bool { return !named[o] })
	slices.SortFunc(out, func(a, b object) int {
		return cmp.Or(cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.name, b.name))
	})
	return out
}

// readSoon reads an object in the background. It is called with mu held.
func (r *Resolver) readSoon(o object) {
	r.wait.Go(func() {
		select {
		case r.reading <- struct{}{}:
			defer func() { <-r.reading }()
			r.read(r.ctx, o)
		case <-r.ctx.Done():
		}
	})
}

// read reads an object and gives its entries to the sources that name them.
func (r *Resolver) read(ctx context.Context, o object) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	r.mu.Lock()
	since, heard := r.seen[o], r.heard[o]
	r.mu.Unlock()
	data, version, err := r.get(ctx, o, since)
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || r.heard[o] != heard { // a watch has told of something newer, or will
		return
	}
	r.see(o, version)
	r.give(o, data, err)
}

// see notes the resource version that was taken over last; empty if there is no object. It is called with mu held.
func (r *Resolver) see(o object, version string) {
	if delete(r.seen, o); version != "" {
		r.seen[o] = version
	}
}

// give gives an object's entries, or why it has none, to the sources that name them. It is called with mu held.
func (r *Resolver) give(o object, data map[string][]byte, err error) {
	now := time.Now()
	trusted := false
	own := r.reserved(o)
	for _, e := range r.entries {
		data, err := data, err
		if own && !e.source.Nonces {
			data, err = nil, fmt.Errorf("%s %s is the controller's own; want another", o.kind, o.name)
		}
		if e.source.Introspection != nil {
			r.giveCredential(e, o, data, err, now)
			continue
		}
		if holder, key, ok := e.source.holder(); ok && holder == o {
			value, err := pick(o, data, key, err)
			r.take(e, value, now, err)
		}
		if authority, key, ok := e.source.authority(); ok && authority == o {
			trusted = r.trust(e, o, data, key, err) || trusted
		}
	}
	if trusted {
		r.poll()
	}
}

// reserved reports whether an object is one of the Secrets that the controller keeps for itself in its own namespace, such as the one that
// nonces derive from: no policy gets them to a pod.
func (r *Resolver) reserved(o object) bool {
	return o.kind == secret && o.namespace != "" && o.namespace == r.options.Namespace && strings.HasPrefix(o.name, "bearerguard-")
}

// trust fetches a source with the CA that its Secret holds now. It is called with mu held.
func (r *Resolver) trust(e *entry, o object, data map[string][]byte, key string, err error) bool {
	ca, err := pick(o, data, key, err)
	if err != nil {
		if e.from == nil || e.state.Err == nil {
			r.take(e, nil, time.Time{}, fmt.Errorf("caSecretRef: %w", err))
		}
		return false
	}
	from := e.source.address(string(ca))
	if e.from != nil && *e.from == from {
		// A failure to read the Secret may be what was told last, and the poller has no news where the keys are the same.
		if state, ok := r.poller.Get(from); ok && (state.Keys != nil || state.Err != nil) && text(state.Err) != text(e.state.Err) {
			r.take(e, state.Keys, state.Fetched, state.Err)
		}
		return false
	}
	e.from = &from
	return true
}

// pick returns one entry of an object.
func pick(o object, data map[string][]byte, key string, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	value, ok := data[key]
	switch {
	case !ok:
		return nil, fmt.Errorf("%s %s has no entry %q", o.kind, o.name, key)
	case len(value) == 0:
		return nil, fmt.Errorf("%s %s: entry %q is empty", o.kind, o.name, key)
	case len(value) > maxObjectSize:
		return nil, fmt.Errorf("%s %s: entry %q has more than %d bytes", o.kind, o.name, key, maxObjectSize)
	}
	return value, nil
}

// get reads an object from the API server's cache, at least as new as the version since.
func (r *Resolver) get(ctx context.Context, o object, since string) (map[string][]byte, string, error) {
	data, version, err := r.getObject(ctx, o, &client.GetOptions{Raw: &metav1.GetOptions{ResourceVersion: since}})
	if apierrors.IsNotFound(err) && r.makes(o) {
		data, version, err = r.makeRoot(ctx, o)
	}
	switch {
	case apierrors.IsNotFound(err), apierrors.IsForbidden(err):
		return nil, "", missing(o, err)
	case err != nil && ctx.Err() == nil:
		return nil, "", fmt.Errorf("read %s %s: %w", o.kind, o.name, err)
	case err != nil:
		return nil, "", fmt.Errorf("read %s %s: the API server does not answer: %w", o.kind, o.name, ctx.Err())
	}
	return data, version, nil
}

func (r *Resolver) getObject(ctx context.Context, o object, opts *client.GetOptions) (map[string][]byte, string, error) {
	at := client.ObjectKey{Namespace: o.namespace, Name: o.name}
	if o.kind == secret {
		var s corev1.Secret
		err := r.options.Reader.Get(ctx, at, &s, opts)
		return dataOf(&s), s.ResourceVersion, err
	}
	var c corev1.ConfigMap
	err := r.options.Reader.Get(ctx, at, &c, opts)
	return dataOf(&c), c.ResourceVersion, err
}

// missing says that an object is not there, or not for the controller.
func missing(o object, err error) error {
	if apierrors.IsForbidden(err) {
		return fmt.Errorf("the controller may not read %s %s in namespace %s: its roles do not grant it (rbac.secrets of the chart)", o.kind, o.name, o.namespace)
	}
	return fmt.Errorf("%s %s does not exist in namespace %s", o.kind, o.name, o.namespace)
}
