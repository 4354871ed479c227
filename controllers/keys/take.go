package keys

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/fetch"
	"github.com/bearerguard/bearerguard/api/keyset"
	"github.com/bearerguard/bearerguard/api/policy"
)

// maxFetched bounds the key sets, in bytes, that are kept for one namespace of those that come over HTTP: thousands of
// common ones, but not so many of the largest that a namespace could use up the memory of all.
const maxFetched = 8 << 20

// take takes over what a source gave, or why it failed; the last good keys stay. It is called with mu held.
func (r *Resolver) take(e *entry, data []byte, at time.Time, err error) {
	old, as := e.state, e.source.Reading
	if e.from != nil {
		as.SVID = false // the keys were picked when the bundle was fetched
	}
	if err == nil {
		err = e.vet(data, as, at)
	}
	if k, ok := r.sharedFor(e); ok && err != nil {
		_ = vet(&e.state, k.JWKS, as, k.Fetched) // else there are none, as before
	}
	if e.from != nil && err == nil && *e.from != cluster() {
		e.state.Notes = r.notes[*e.from]
	}
	e.state.Err = err
	if err != nil && e.from == nil { // fetches are counted one by one
		r.options.Metrics.failed(e.source.kind())
	}
	first := !e.settled
	e.settled = true
	if !first && text(old.Err) == text(err) && bytes.Equal(old.Set.JWKS, e.state.Set.JWKS) {
		return
	}
	for namespace := range e.namespaces {
		r.options.Changed(namespace)
	}
}

// vet takes over what a source gave, if it passes.
func (e *entry) vet(data []byte, as keyset.Reading, at time.Time) error {
	if e.source.Introspection != nil { // it has been read already
		e.state.Set, e.state.Keys, e.state.Fetched = bundle.KeySet{JWKS: data}, 1, at
		return nil
	}
	if e.source.Nonces {
		derived, err := keyset.Nonces(data, e.source.Namespace)
		if err != nil {
			return fmt.Errorf("%s %s: entry %q %w", e.source.root.kind, e.source.root.name, rootEntry, err)
		}
		data = derived
	}
	return vet(&e.state, data, as, at)
}

func vet(s *State, data []byte, as keyset.Reading, at time.Time) error {
	set, err := keyset.Read(data, as)
	if err != nil {
		return err
	}
	s.Set, s.Keys, s.Fetched = bundle.KeySet{JWKS: set.Canonical()}, set.Len(), at
	s.Algorithms, s.Notes = set.Algorithms(), set.Notes()
	return nil
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// fetch gets a source for the poller.
func (r *Resolver) fetch(ctx context.Context, s fetch.Source) ([]byte, fetch.Meta, error) {
	data, meta, err := r.fetchOnce(ctx, s)
	if err != nil && ctx.Err() == nil {
		r.options.Metrics.failed(kindOf(s))
	}
	return data, meta, err
}

// fetchOnce gets a source over HTTP, or the cluster's own keys from the API server. What does not pass as public keys is a
// failure to the poller, which then keeps what it has and comes back soon.
func (r *Resolver) fetchOnce(ctx context.Context, s fetch.Source) ([]byte, fetch.Meta, error) {
	if s == cluster() {
		issuer, jwks, err := r.options.Cluster(ctx)
		if err != nil {
			return nil, fetch.Meta{}, fmt.Errorf("fetch the cluster's own keys: %w", err)
		}
		r.mu.Lock()
		r.issuer = issuer
		r.mu.Unlock()
		return jwks, fetch.Meta{}, nil
	}
	o := r.options.Fetch
	o.Vet = func(data []byte) ([]byte, error) { return r.keep(s, data) }
	return s.Fetch(ctx, o)
}

// keep returns the keys of an answer, if a namespace that wants them has room, and notes those that are left out. What else
// the answer has is not kept.
func (r *Resolver) keep(s fetch.Source, data []byte) ([]byte, error) {
	set, err := keyset.Read(data, keyset.Reading{Use: keyset.Public, Format: policy.FormatJWKS, SVID: s.SPIFFE})
	if err != nil {
		return nil, err
	}
	keys := set.Canonical()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.entries {
		if e.from == nil || *e.from != s {
			continue
		}
		for namespace := range e.namespaces {
			if r.fetchedBytes(namespace, s)+len(keys) <= maxFetched {
				r.notes[s] = set.Notes()
				return keys, nil
			}
		}
	}
	return nil, fmt.Errorf("the key sets that the namespace fetches have more than %d bytes together", maxFetched)
}

// fetchedBytes is what a namespace's fetched sets take, but for one. It is called with mu held.
func (r *Resolver) fetchedBytes(namespace string, but fetch.Source) int {
	n := 0
	for _, id := range r.wanted[namespace] {
		if e := r.entries[id]; e != nil && e.from != nil && *e.from != but {
			n += len(e.state.Set.JWKS)
		}
	}
	return n
}

// fetched is called by the poller when it has news of a source.
func (r *Resolver) fetched(s fetch.Source) {
	r.mu.Lock()
	defer r.mu.Unlock()
	state, ok := r.poller.Get(s)
	if !ok || r.closed {
		return
	}
	for _, e := range r.entries {
		if e.from != nil && *e.from == s {
			r.take(e, state.Keys, state.Fetched, state.Err)
		}
	}
}

// checked is called by the poller when it has fetched a source, after fetched.
func (r *Resolver) checked(s fetch.Source) {
	r.mu.Lock()
	defer r.mu.Unlock()
	state, ok := r.poller.Get(s)
	if !ok || r.closed {
		return
	}
	for id, e := range r.entries {
		if e.from != nil && *e.from == s {
			r.options.Checked(Checked{ID: id, Began: state.Checked, JWKS: e.state.Set.JWKS, Next: state.Next})
		}
	}
}
