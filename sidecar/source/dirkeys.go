package source

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/credential"
	"github.com/bearerguard/bearerguard/api/fetch"
	"github.com/bearerguard/bearerguard/api/keyset"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/sidecar/source/manifest"
)

// given returns the key sets that the files themselves hold, by id, and what there is to say of them. rules are how introspection
// endpoints may be reached; nonces without a Secret derive from root. The error names file, line and field.
func given(set *manifest.Set, rules fetch.Options, root []byte) (map[string]bundle.KeySet, []string, error) {
	g := files{set: set, root: root, keys: map[string]bundle.KeySet{}}
	for _, o := range set.Policies {
		for i, issuer := range o.Spec.Issuers {
			field := fmt.Sprintf("spec.issuers[%d].keys", i)
			data, ref, err := material(set, o.Namespace, issuer.Keys)
			if err == nil && data != nil {
				err = g.take(o, field+ref, bundle.SourceID(o.Namespace, issuer), data, keyset.ReadingOf(&issuer), &issuer)
			}
			if err != nil {
				return nil, nil, fmt.Errorf("%s: %s: %s%s: %w", set.Place(o, field+ref), o.ID(), field, ref, err)
			}
			if err := g.nonces(o, i, &issuer); err != nil {
				return nil, nil, err
			}
			if err := g.credential(o, i, &issuer, rules); err != nil {
				return nil, nil, err
			}
			if issuer.Decryption == nil {
				continue
			}
			field = fmt.Sprintf("spec.issuers[%d].decryption.secretRef", i)
			data, err = entry(set.Secrets, "Secret", o.Namespace, issuer.Decryption.SecretRef)
			if err == nil {
				as := keyset.DecryptionReading(issuer.Decryption.SecretRef)
				err = g.take(o, field, bundle.DecryptionID(o.Namespace, issuer), data, as, nil)
			}
			if err != nil {
				return nil, nil, fmt.Errorf("%s: %s: %s: %w", set.Place(o, field), o.ID(), field, err)
			}
		}
	}
	return g.keys, g.notes, nil
}

// nonces reads what an issuer's nonces are made with, or derives it.
func (g *files) nonces(o bundle.Object, index int, issuer *policy.Issuer) error {
	id := bundle.NonceID(o.Namespace, *issuer)
	if id == "" {
		return nil
	}
	if issuer.Proof.NonceSecretRef == nil {
		set, err := keyset.Nonces(g.root, o.Namespace)
		g.keys[id] = bundle.KeySet{JWKS: set}
		return err
	}
	field, ref := fmt.Sprintf("spec.issuers[%d].proof.nonceSecretRef", index), *issuer.Proof.NonceSecretRef
	data, err := entry(g.set.Secrets, "Secret", o.Namespace, ref)
	if err == nil {
		err = g.take(o, field, id, data, keyset.NonceReading(ref), nil)
	}
	if err != nil {
		return fmt.Errorf("%s: %s: %s: %w", g.set.Place(o, field), o.ID(), field, err)
	}
	return nil
}

// files gathers the key sets of files.
type files struct {
	set   *manifest.Set
	root  []byte // what nonces derive from
	keys  map[string]bundle.KeySet
	notes []string
}

// take reads one key set, which is to be of use to an issuer where one is given.
func (g *files) take(o bundle.Object, field, id string, data []byte, as keyset.Reading, issuer *policy.Issuer) error {
	set, err := keyset.Read(data, as)
	if err == nil && issuer != nil {
		err = keyset.Serves(set.Algorithms(), issuer)
	}
	if err != nil {
		return err
	}
	for _, note := range set.Notes() {
		g.notes = append(g.notes, fmt.Sprintf("%s: %s: %s: %s", g.set.Place(o, field), o.ID(), field, note))
	}
	g.keys[id] = bundle.KeySet{JWKS: set.Canonical()}
	return nil
}

// credential takes what the introspection endpoint of an issuer is shown, if there is one.
func (g *files) credential(o bundle.Object, i int, issuer *policy.Issuer, rules fetch.Options) error {
	in := issuer.Introspection
	if in == nil {
		return nil
	}
	fail := func(field string, err error) error {
		field = fmt.Sprintf("spec.issuers[%d].%s", i, field)
		return fmt.Errorf("%s: %s: %s: %w", g.set.Place(o, field), o.ID(), field, err)
	}
	name := in.CredentialsSecretRef.Name
	entries, ok := g.set.Secrets[manifest.Ref{Namespace: o.Namespace, Name: name}]
	if !ok {
		return fail("introspection.credentialsSecretRef", fmt.Errorf("no file has the Secret %s/%s", o.Namespace, name))
	}
	c, err := credential.Read(entries, in.Auth)
	if err != nil {
		return fail("introspection.credentialsSecretRef", fmt.Errorf("the Secret %s/%s %w", o.Namespace, name, err))
	}
	c.AllowHTTP, c.AllowNets = rules.AllowHTTP, rules.AllowNets
	if ref := issuer.CASecretRef; ref != nil {
		ca, err := entry(g.set.Secrets, "Secret", o.Namespace, *ref)
		if err != nil {
			return fail("caSecretRef", err)
		}
		if err := fetch.CheckCA(ca); err != nil {
			return fail("caSecretRef", fmt.Errorf("the Secret %s/%s: entry %q %w", o.Namespace, ref.Name, ref.Key, err))
		}
		c.CA = string(ca)
	}
	if field, err := fetch.CheckIntrospection(in.URL, in.MetadataURL(), issuer.Issuer, rules); err != nil {
		return fail(field, err)
	}
	g.keys[bundle.IntrospectionID(o.Namespace, *issuer)] = bundle.KeySet{JWKS: c.Encode()}
	return nil
}

// material returns what a key source holds, or nil if it is to be fetched. at is the field below keys.
func material(set *manifest.Set, namespace string, k policy.KeySource) (data []byte, at string, err error) {
	switch {
	case k.JWKS != "":
		return []byte(k.JWKS), ".jwks", nil
	case k.SecretRef != nil:
		data, err = entry(set.Secrets, "Secret", namespace, *k.SecretRef)
		return data, ".secretRef", err
	case k.SPIFFE != nil && k.SPIFFE.ConfigMapRef != nil:
		data, err = entry(set.ConfigMaps, "ConfigMap", namespace, *k.SPIFFE.ConfigMapRef)
		return data, ".spiffe.configMapRef", err
	case k.ConfigMapRef != nil:
		data, err = entry(set.ConfigMaps, "ConfigMap", namespace, *k.ConfigMapRef)
		return data, ".configMapRef", err
	case k.Kubernetes != nil:
		return nil, ".kubernetes", errors.New("needs a cluster, and there is none in standalone mode; give discovery.url instead")
	}
	return nil, "", nil
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

// fetched returns the sources that are fetched, by id.
func fetched(set *manifest.Set) (map[string]fetch.Source, error) {
	wanted := map[string]fetch.Source{}
	for _, o := range set.Policies {
		for i, issuer := range o.Spec.Issuers {
			source := fetch.Source{JWKSURL: issuer.Keys.URL()}
			source.SPIFFE = source.JWKSURL != "" && issuer.Keys.SPIFFE != nil
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

// useless names the issuers of a bundle that have keys of which none fits their algorithms. Key sets that files hold are
// not among them: these are refused.
func useless(b *bundle.Bundle) []string {
	var out []string
	for _, p := range b.Policies {
		for i := range p.Spec.Issuers {
			issuer := &p.Spec.Issuers[i]
			raw, ok := b.KeySets[p.Keys[i]]
			if !ok {
				continue
			}
			set, err := keyset.Parse(raw.JWKS, keyset.Verify)
			if err == nil {
				err = keyset.Serves(set.Algorithms(), issuer)
			}
			if err != nil {
				out = append(out, fmt.Sprintf("%s/%s: spec.issuers[%d].keys: %v", p.Namespace, p.Name, i, err))
			}
		}
	}
	return out
}

// urlKeys keeps the key sets that are fetched.
type urlKeys struct {
	poller *fetch.Poller
	news   chan struct{} // size 1: a source has changed

	mu      sync.Mutex
	sources map[string]fetch.Source // guarded by mu; by key set id
	told    map[fetch.Source]string // guarded by mu; the notes that were logged last
	log     logr.Logger
}

// standing says what a failed fetch means for requests.
func standing(state fetch.State) string {
	if state.Keys == nil {
		return "tokens of the issuer get 503 until there are any"
	}
	return "the last good ones stay"
}

// newURLKeys calls poke after every fetch, whatever came of it.
func newURLKeys(o fetch.Options, log logr.Logger, poke func()) *urlKeys {
	k := &urlKeys{news: make(chan struct{}, 1), told: map[fetch.Source]string{}, log: log}
	k.poller = fetch.NewPoller(fetch.PollerOptions{
		Fetch: func(ctx context.Context, s fetch.Source) ([]byte, fetch.Meta, error) {
			with := o
			with.Vet = func(data []byte) ([]byte, error) { return k.vet(s, data) }
			return s.Fetch(ctx, with)
		},
		Changed: func(s fetch.Source) {
			if state, _ := k.poller.Get(s); state.Err != nil {
				log.Error(state.Err, "keys cannot be fetched; "+standing(state), "source", s.String(), "failures", state.Failures)
			} else {
				log.Info("keys fetched", "source", s.String())
			}
			select {
			case k.news <- struct{}{}:
			default:
			}
		},
		Checked: func(fetch.Source) { poke() },
	})
	return k
}

// vet returns the keys of an answer, and logs what there is to say of them when that has changed.
func (k *urlKeys) vet(s fetch.Source, data []byte) ([]byte, error) {
	set, err := keyset.Read(data, keyset.Reading{Use: keyset.Public, Format: policy.FormatJWKS, SVID: s.SPIFFE})
	if err != nil {
		return nil, err
	}
	notes := strings.Join(set.Notes(), "; ")
	k.mu.Lock()
	news := notes != "" && notes != k.told[s]
	k.told[s] = notes
	k.mu.Unlock()
	if news {
		k.log.Info("keys that were fetched", "source", s.String(), "notes", notes)
	}
	return set.Canonical(), nil
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
	k.mu.Lock()
	maps.DeleteFunc(k.told, func(s fetch.Source, _ string) bool { return !slices.Contains(list, s) })
	k.mu.Unlock()
}

// refetch asks for a fetch. It returns how long it is until that can begin, and false if the set is not fetched.
func (k *urlKeys) refetch(id string) (in time.Duration, ok bool) {
	k.mu.Lock()
	s, ok := k.sources[id]
	k.mu.Unlock()
	if !ok {
		return 0, false
	}
	return k.poller.Refetch(s)
}

// addTo adds what has been fetched. It returns when the last fetch of each set began, and whether one has not been tried.
func (k *urlKeys) addTo(keys map[string]bundle.KeySet) (checked map[string]time.Time, missing bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	checked = make(map[string]time.Time, len(k.sources))
	for id, s := range k.sources {
		state, _ := k.poller.Get(s)
		checked[id] = state.Checked
		if state.Keys == nil {
			missing = missing || state.Err == nil
			continue
		}
		keys[id] = bundle.KeySet{JWKS: state.Keys}
	}
	return checked, missing
}

// reports says how the fetches of each set go, by id.
func (k *urlKeys) reports() map[string]fetch.Report {
	k.mu.Lock()
	defer k.mu.Unlock()
	out := make(map[string]fetch.Report, len(k.sources))
	for id, s := range k.sources {
		state, _ := k.poller.Get(s)
		out[id] = state.Report()
	}
	return out
}

// settle waits until every source has answered or failed once, but no longer than patience.
func (k *urlKeys) settle(ctx context.Context, patience time.Duration) {
	end := time.NewTimer(patience)
	defer end.Stop()
	for {
		if _, missing := k.addTo(map[string]bundle.KeySet{}); !missing {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-end.C:
			return
		case <-k.news:
		}
	}
}
