package source

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/fetch"
	"github.com/bearerguard/bearerguard/api/keyset"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/sidecar/source/manifest"
)

// given returns the key sets that the files themselves hold, by id. The error names file, line and field.
func given(set *manifest.Set) (map[string]bundle.KeySet, error) {
	keys := map[string]bundle.KeySet{}
	for _, o := range set.Policies {
		for i, issuer := range o.Spec.Issuers {
			field := fmt.Sprintf("spec.issuers[%d].keys", i)
			data, use, ref, err := material(set, o.Namespace, issuer.Keys)
			if err == nil && data != nil {
				err = vetInto(keys, bundle.SourceID(o.Namespace, issuer), data, use)
			}
			if err != nil {
				return nil, fmt.Errorf("%s: %s: %s%s: %w", set.Place(o, field+ref), o.ID(), field, ref, err)
			}
			if issuer.Decryption == nil {
				continue
			}
			field = fmt.Sprintf("spec.issuers[%d].decryption.secretRef", i)
			data, err = entry(set.Secrets, "Secret", o.Namespace, issuer.Decryption.SecretRef)
			if err == nil {
				err = vetInto(keys, bundle.DecryptionID(o.Namespace, issuer), data, keyset.Decrypt)
			}
			if err != nil {
				return nil, fmt.Errorf("%s: %s: %s: %w", set.Place(o, field), o.ID(), field, err)
			}
		}
	}
	return keys, nil
}

// material returns what a key source holds, or nil if it is to be fetched. at is the field below keys.
func material(set *manifest.Set, namespace string, k policy.KeySource) (data []byte, use keyset.Use, at string, err error) {
	switch {
	case k.JWKS != "":
		return []byte(k.JWKS), keyset.Public, ".jwks", nil
	case k.SecretRef != nil:
		data, err = entry(set.Secrets, "Secret", namespace, *k.SecretRef)
		return data, keyset.Verify, ".secretRef", err
	case k.ConfigMapRef != nil:
		data, err = entry(set.ConfigMaps, "ConfigMap", namespace, *k.ConfigMapRef)
		return data, keyset.Public, ".configMapRef", err
	case k.Kubernetes != nil:
		return nil, 0, ".kubernetes", errors.New("needs a cluster, and there is none in standalone mode; give discovery.url instead")
	}
	return nil, 0, "", nil
}

func entry(objects map[manifest.Ref]manifest.Data, kind, namespace string, ref policy.KeyRef) ([]byte, error) {
	object, ok := objects[manifest.Ref{Namespace: namespace, Name: ref.Name}]
	if !ok {
		return nil, fmt.Errorf("no file has the %s %s/%s", kind, namespace, ref.Name)
	}
	data, ok := object[ref.Key]
	if !ok {
		return nil, fmt.Errorf("the %s %s/%s has no entry %q", kind, namespace, ref.Name, ref.Key)
	}
	return data, nil
}

func vetInto(keys map[string]bundle.KeySet, id string, data []byte, use keyset.Use) error {
	set, err := keyset.Parse(data, use)
	if err != nil {
		return err
	}
	keys[id] = bundle.KeySet{JWKS: set.Canonical()}
	return nil
}

// fetched returns the sources that are fetched, by id.
func fetched(set *manifest.Set) (map[string]fetch.Source, error) {
	wanted := map[string]fetch.Source{}
	for _, o := range set.Policies {
		for i, issuer := range o.Spec.Issuers {
			source := fetch.Source{JWKSURL: issuer.Keys.JWKSURL}
			if issuer.Keys.Discovery != nil {
				source = fetch.Source{Issuer: issuer.Issuer, MetadataURL: issuer.Keys.Discovery.URL}
			}
			if source == (fetch.Source{}) {
				continue
			}
			if issuer.CASecretRef != nil {
				ca, err := entry(set.Secrets, "Secret", o.Namespace, *issuer.CASecretRef)
				if err != nil {
					field := fmt.Sprintf("spec.issuers[%d].caSecretRef", i)
					return nil, fmt.Errorf("%s: %s: %s: %w", set.Place(o, field), o.ID(), field, err)
				}
				source.CA = string(ca)
			}
			wanted[bundle.SourceID(o.Namespace, issuer)] = source
		}
	}
	return wanted, nil
}

// urlKeys keeps the key sets that are fetched.
type urlKeys struct {
	poller *fetch.Poller
	news   chan struct{} // size 1: a source has changed

	mu      sync.Mutex
	sources map[string]fetch.Source // guarded by mu; by key set id
}

// newURLKeys tells poke of every change.
func newURLKeys(o fetch.Options, log logr.Logger, poke func()) *urlKeys {
	k := &urlKeys{news: make(chan struct{}, 1)}
	k.poller = fetch.NewPoller(fetch.PollerOptions{
		Fetch: func(ctx context.Context, s fetch.Source) ([]byte, fetch.Meta, error) { return s.Fetch(ctx, o) },
		Vet: func(data []byte) ([]byte, error) {
			set, err := keyset.Parse(data, keyset.Public)
			if err != nil {
				return nil, err
			}
			if problems := set.Problems(); len(problems) > 0 {
				log.V(1).Info("keys left out", "problems", problems)
			}
			return set.Canonical(), nil
		},
		Changed: func(s fetch.Source) {
			if state, _ := k.poller.Get(s); state.Err != nil {
				log.Error(state.Err, "keys cannot be fetched; the last good ones stay", "source", s.String(), "failures", state.Failures)
			} else {
				log.Info("keys fetched", "source", s.String())
			}
			select {
			case k.news <- struct{}{}:
			default:
			}
			poke()
		},
	})
	return k
}

func (k *urlKeys) close() { k.poller.Close() }

func (k *urlKeys) want(sources map[string]fetch.Source) {
	k.mu.Lock()
	k.sources = sources
	k.mu.Unlock()
	list := make([]fetch.Source, 0, len(sources))
	for _, s := range sources {
		list = append(list, s)
	}
	k.poller.Set(list)
}

func (k *urlKeys) refetch(id string) {
	k.mu.Lock()
	s, ok := k.sources[id]
	k.mu.Unlock()
	if ok {
		k.poller.Refetch(s)
	}
}

// addTo adds what has been fetched.
func (k *urlKeys) addTo(keys map[string]bundle.KeySet) (missing bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for id, s := range k.sources {
		state, _ := k.poller.Get(s)
		if state.Keys == nil {
			missing = missing || state.Err == nil
			continue
		}
		keys[id] = bundle.KeySet{JWKS: state.Keys}
	}
	return missing
}

// settle waits until every source has answered or failed once, but no longer than patience.
func (k *urlKeys) settle(ctx context.Context, patience time.Duration) {
	end := time.NewTimer(patience)
	defer end.Stop()
	for k.addTo(map[string]bundle.KeySet{}) {
		select {
		case <-ctx.Done():
			return
		case <-end.C:
			return
		case <-k.news:
		}
	}
}
