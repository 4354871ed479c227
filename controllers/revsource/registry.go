package revsource

import (
	"cmp"
	"slices"
	"sync"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/keyset"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/controllers/keys"
	"github.com/bearerguard/bearerguard/controllers/revstore"
)

// served is a RevocationSource as it is served. It is not changed once made, but for what it remembers.
type served struct {
	ref      revstore.Source
	object   *v1alpha1.RevocationSource // shared with the cache
	spec     *policy.RevocationSource
	path     string // of its endpoint; empty: it has none
	keyID    string
	problem  error
	reason   string // of the problem
	memory   *memory
	verifies *verifies
	proven   *proven
}

// endpoint is the path that the provider posts to; empty: there is none.
func (s *served) endpoint() string {
	if s.problem != nil {
		return ""
	}
	return s.path
}

// registry has the sources of all namespaces. It is safe for concurrent use.
type registry struct {
	mu     sync.RWMutex
	spaces map[string]map[string]*served // guarded by mu; by namespace and UID
	paths  map[string]*served            // guarded by mu
}

// set replaces the sources of a namespace. What one remembers is kept.
func (r *registry) set(namespace string, sources []*served) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.spaces == nil {
		r.spaces, r.paths = map[string]map[string]*served{}, map[string]*served{}
	}
	old := r.spaces[namespace]
	for _, s := range old {
		if r.paths[s.path] == s {
			delete(r.paths, s.path)
		}
	}
	now := make(map[string]*served, len(sources))
	for _, s := range sources {
		if was := old[s.ref.UID]; was != nil {
			s.memory, s.verifies, s.proven = was.memory, was.verifies, was.proven
		}
		now[s.ref.UID] = s
		if s.problem == nil && s.path != "" {
			r.paths[s.path] = s
		}
	}
	if r.spaces[namespace] = now; len(now) == 0 {
		delete(r.spaces, namespace)
	}
}

// at returns the source of an endpoint; nil: there is none.
func (r *registry) at(path string) *served {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.paths[path]
}

// all returns the sources of all namespaces.
func (r *registry) all() (out []*served) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, space := range r.spaces {
		for _, s := range space {
			out = append(out, s)
		}
	}
	return out
}

// of returns the sources of a namespace, sorted by name.
func (r *registry) of(namespace string) []*served {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var out []*served
	for _, s := range r.spaces[namespace] {
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b *served) int { return cmp.Compare(a.ref.Name, b.ref.Name) })
	return out
}

// prepare makes of a namespace's objects what is served. Of those that want one path the oldest has it.
func prepare(objects []*v1alpha1.RevocationSource, enabled bool) []*served {
	objects = slices.SortedFunc(slices.Values(objects), func(a, b *v1alpha1.RevocationSource) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	taken := map[string]string{}
	out := make([]*served, len(objects))
	for i, o := range objects {
		s := newServed(o)
		out[i] = s
		switch holder := taken[s.path]; {
		case s.problem != nil:
		case !enabled && s.path != "":
			s.problem, s.reason = errDisabled, v1alpha1.ReasonReceiverDisabled
		case holder != "":
			s.problem, s.reason = &conflictError{s.path, holder}, v1alpha1.ReasonPathConflict
		case s.path != "":
			taken[s.path] = o.Name
		}
	}
	return out
}

func newServed(o *v1alpha1.RevocationSource) *served {
	s := &served{
		ref: revstore.Source{Namespace: o.Namespace, Name: o.Name, UID: string(o.UID)}, object: o, spec: &o.Spec,
		memory: newMemory(), verifies: &verifies{}, proven: &proven{}, reason: v1alpha1.ReasonInvalid,
	}
	if s.problem = Check(&o.Spec); s.problem != nil {
		return s
	}
	issuer := o.Spec.AsIssuer()
	s.keyID = bundle.SourceID(o.Namespace, issuer)
	switch signals := o.Spec.SharedSignals; {
	case signals == nil:
		s.path = "/logout/" + o.Namespace + "/" + cmp.Or(o.Spec.BackChannelLogout.Path, o.Name)
	case signals.Delivery == policy.Push:
		s.path = "/events/" + o.Namespace + "/" + cmp.Or(signals.Path, o.Name)
	}
	return s
}

// Check returns what is wrong with a RevocationSource; nil if nothing is.
func Check(spec *policy.RevocationSource) error {
	if err := spec.Validate("spec"); err != nil {
		return err
	}
	issuer := spec.AsIssuer()
	return decision.CheckKeys("spec", &issuer)
}

// wanted are the places that the keys of some sources come from.
func wanted(sources []*served) (out []keys.Source) {
	for _, s := range sources {
		if s.problem != nil && s.reason == v1alpha1.ReasonInvalid {
			continue
		}
		issuer := s.spec.AsIssuer()
		out = append(out, keys.Source{
			ID: s.keyID, Namespace: s.ref.Namespace, Issuer: s.spec.Issuer, Keys: issuer.Keys, Reading: keyset.ReadingOf(&issuer), CA: s.spec.CASecretRef,
		})
	}
	return out
}

// fetched reports whether the keys of a source come over HTTP, so that there may be newer ones.
func (s *served) fetched() bool {
	return s.spec.Keys == nil || s.spec.Keys.Discovery != nil || s.spec.Keys.JWKSURL != ""
}
