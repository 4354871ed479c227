package keys

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/fetch"
	"github.com/bearerguard/bearerguard/api/keyset"
)

// take takes over what a source gave, or why it failed; the last good keys stay. It is called with mu held.
func (r *Resolver) take(e *entry, data []byte, at time.Time, err error) {
	old := e.state
	if err == nil {
		err = vet(&e.state, data, e.source.use(), at)
	}
	e.state.Err = err
	if err != nil && e.from == nil { // fetches are counted one by one
		r.options.Metrics.failed(e.source.kind())
	}
	first := false
	select {
	case <-e.settled:
	default:
		first = true
		close(e.settled)
	}
	if !first && text(old.Err) == text(err) && bytes.Equal(old.Set.JWKS, e.state.Set.JWKS) {
		return
	}
	for namespace := range e.namespaces {
		r.options.Changed(namespace)
	}
}

func vet(s *State, data []byte, use keyset.Use, at time.Time) error {
	set, err := keyset.Parse(data, use)
	if err != nil {
		return err
	}
	s.Set, s.Keys, s.Problems, s.Fetched = bundle.KeySet{JWKS: set.Canonical()}, set.Len(), set.Problems(), at
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
	data, meta, err := s.Fetch(ctx, r.options.Fetch)
	if err != nil {
		return nil, meta, err
	}
	if _, err := keyset.Parse(data, keyset.Public); err != nil {
		return nil, meta, fmt.Errorf("fetch %s: %w", s, err)
	}
	return data, meta, nil
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
