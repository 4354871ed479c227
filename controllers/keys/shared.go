package keys

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"maps"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bearerguard/bearerguard/api/fetch"
	"github.com/bearerguard/bearerguard/api/keyset"
	"github.com/bearerguard/bearerguard/api/policy"
)

// Bounds of what replicas share. The API server takes a Secret of 1 MiB.
const (
	sharedSecrets = 8
	maxShared     = 900 << 10 // bytes of one Secret, compressed
	maxUnpacked   = 16 << 20  // bytes of one Secret, uncompressed
	sharedEntry   = "keys.json.gz"
)

// SharedSecret is the name of one of the Secrets in which replicas share the last good keys of what they fetch.
func SharedSecret(i int) string { return "bearerguard-keys-" + strconv.Itoa(i) }

// shared is a fetched key set as replicas share it.
type shared struct {
	// ID stands for the whole fetch.Source, CA and all: what was fetched from one place is never taken for another's.
	ID string `json:"id"`
	// From is the source for people.
	From    string          `json:"from"`
	Fetched time.Time       `json:"fetched"`
	JWKS    json.RawMessage `json:"jwks"`
}

// sharedID is the ID of a source's keys.
func sharedID(s fetch.Source) string {
	parts := []string{s.JWKSURL, s.Issuer, s.MetadataURL, s.CA}
	if s.SPIFFE {
		parts = append(parts, "spiffe")
	}
	text, _ := json.Marshal(parts) // strings always can be
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// placeOf says which Secret a key set is in, so that a change of one rewrites one.
func placeOf(id string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(id))
	return int(h.Sum32() % sharedSecrets)
}

// pack encodes key sets. The largest are left out if all do not fit; their IDs are returned.
func pack(sets []shared) (packed []byte, left []string, err error) {
	sets = slices.SortedFunc(slices.Values(sets), func(a, b shared) int {
		return cmp.Or(cmp.Compare(len(a.JWKS), len(b.JWKS)), cmp.Compare(a.ID, b.ID))
	})
	for {
		packed, fits, err := compress(sets)
		if err != nil {
			return nil, nil, fmt.Errorf("encode shared keys: %w", err)
		}
		if fits || len(sets) == 0 {
			return packed, left, nil
		}
		drop := max(1, len(sets)/8)
		for _, s := range sets[len(sets)-drop:] {
			left = append(left, s.ID)
		}
		sets = sets[:len(sets)-drop]
	}
}

// compress encodes key sets, if unpack will read them again and a Secret has room for them.
func compress(sets []shared) (packed []byte, fits bool, err error) {
	var plain, out bytes.Buffer
	e := json.NewEncoder(&plain)
	e.SetEscapeHTML(false)
	if err := e.Encode(sets); err != nil || plain.Len() > maxUnpacked {
		return nil, false, err
	}
	z := gzip.NewWriter(&out)
	_, err = z.Write(plain.Bytes())
	err = errors.Join(err, z.Close())
	return out.Bytes(), out.Len() <= maxShared, err
}

// unpack decodes key sets and leaves out what does not pass as public keys.
func unpack(packed []byte) ([]shared, error) {
	if len(packed) == 0 {
		return nil, nil
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("decode shared keys: %w", err)
	}
	var sets []shared
	if err := json.NewDecoder(io.LimitReader(z, maxUnpacked)).Decode(&sets); err != nil {
		return nil, fmt.Errorf("decode shared keys: %w", err)
	}
	return slices.DeleteFunc(sets, func(s shared) bool {
		_, err := keyset.Read(s.JWKS, keyset.Reading{Use: keyset.Public, Format: policy.FormatJWKS})
		return err != nil
	}), nil
}

// Recall reads what replicas have shared, for sources that cannot be read now. Call it before the first Want.
func (r *Resolver) Recall(ctx context.Context) error {
	if r.options.Namespace == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	all := map[string]shared{}
	var errs []error
	for i := range sharedSecrets {
		var s corev1.Secret
		err := r.options.Reader.Get(ctx, client.ObjectKey{Namespace: r.options.Namespace, Name: SharedSecret(i)}, &s)
		if apierrors.IsNotFound(err) {
			continue
		}
		sets, bad := unpack(s.Data[sharedEntry])
		if err = errors.Join(err, bad); err != nil {
			errs = append(errs, fmt.Errorf("read secret %s: %w", SharedSecret(i), err))
			continue
		}
		for _, k := range sets {
			all[k.ID] = k
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil
	}
	maps.Copy(all, r.unread(all, len(errs) > 0))
	r.shared = all
	for _, e := range r.entries {
		if e.from != nil && e.state.Keys == 0 && e.state.Err != nil {
			r.take(e, nil, time.Time{}, e.state.Err)
		}
	}
	return errors.Join(errs...)
}

// unread returns what is known already, where not all could be read. It is called with mu held.
func (r *Resolver) unread(all map[string]shared, some bool) map[string]shared {
	out := map[string]shared{}
	for id, s := range r.shared {
		if _, read := all[id]; some && !read {
			out[id] = s
		}
	}
	return out
}

// sharedFor returns the shared keys of an entry that has none, if a namespace that wants them has room. It is called with
// mu held.
func (r *Resolver) sharedFor(e *entry) (shared, bool) {
	if e.from == nil || e.state.Keys > 0 {
		return shared{}, false
	}
	s, ok := r.shared[sharedID(*e.from)]
	if !ok {
		return shared{}, false
	}
	for namespace := range e.namespaces {
		if r.fetchedBytes(namespace, *e.from)+len(s.JWKS) <= maxFetched {
			return s, true
		}
	}
	return shared{}, false
}

// toShare returns the last good keys of all that is fetched, by ID, but for the cluster's own, which are there whenever
// the controller is.
func (r *Resolver) toShare() map[string]shared {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := map[string]shared{}
	for _, e := range r.entries {
		if e.from == nil || *e.from == cluster() || e.state.Keys == 0 {
			continue
		}
		id := sharedID(*e.from)
		s := r.shared[id]
		if p, ok := r.poller.Get(*e.from); ok && p.Keys != nil {
			s = shared{ID: id, From: e.from.String(), Fetched: p.Fetched, JWKS: p.Keys}
		}
		if s.JWKS != nil {
			out[id] = s
		}
	}
	return out
}

// starved reports whether a source that is fetched has no keys and an error.
func (r *Resolver) starved() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.entries {
		if e.from != nil && e.state.Keys == 0 && e.state.Err != nil {
			return true
		}
	}
	return false
}

// recallWhenStarved looks for what other replicas could fetch and this one cannot, until ctx is done.
func (r *Resolver) recallWhenStarved(ctx context.Context) {
	for wait(ctx, recallEvery) {
		if r.options.Namespace != "" && r.starved() {
			_ = r.Recall(ctx) // what cannot be read is told by the sources' own errors
		}
	}
}
