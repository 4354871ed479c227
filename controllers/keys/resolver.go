package keys

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/fetch"
)

// Options are what a Resolver needs.
type Options struct {
	// Reader reads Secrets and ConfigMaps, without a cache. Required.
	Reader client.Reader
	// Creator creates the Secret that nonces derive from, where there is none. Default: nobody does.
	Creator Creator
	// Watcher watches those that are named. Default: they are polled.
	Watcher Watcher
	// Cluster returns the issuer and the JWK Set of the cluster's own service-account tokens. Required.
	Cluster func(context.Context) (issuer string, jwks []byte, err error)
	// Namespace is the controller's, where replicas share the last good keys of what they fetch, and what nonces derive from. Empty: they
	// share nothing.
	Namespace string
	// Fetch are the operator's rules for fetching over HTTP.
	Fetch fetch.Options
	// Changed is called after keys of a namespace, or what is wrong with them, changed. It must not block. Default: nothing.
	Changed func(namespace string)
	// Checked is called after each fetch over HTTP, once what came of it has been taken over, for each source that it is for.
	// It must not block. Default: nothing.
	Checked func(Checked)
	// Metrics are counted into. Default: metrics that nobody reads.
	Metrics *Metrics
	// Poll is how often Secrets and ConfigMaps are read that cannot be watched; less often when there are more than 20 for each second of it, first
	// of all those of the namespaces that have the most. Default 5s.
	Poll time.Duration
}

// Checked says that a source has been fetched anew, whatever came of it.
type Checked struct {
	// ID is the source's.
	ID string
	// Began is when the fetch began.
	Began time.Time
	// JWKS is the key set as it is now: the last good one, if the fetch failed.
	JWKS []byte
	// Next is when another fetch could be asked for.
	Next time.Time
}

// Resolver keeps the keys of all wanted sources. It is safe for concurrent use.
type Resolver struct {
	options Options // immutable
	poller  *fetch.Poller
	ctx     context.Context // ends reads that are running
	cancel  context.CancelFunc
	reading chan struct{} // bounds reads at a time
	wait    sync.WaitGroup

	mu      sync.Mutex
	entries map[string]*entry   // guarded by mu; by source id
	wanted  map[string][]string // guarded by mu; the ids that each namespace wants
	seen    map[object]string   // guarded by mu; the resource versions that were taken over last
	heard   map[object]uint64   // guarded by mu; how many changes watches have told of
	issuer  string              // guarded by mu; the cluster's own issuer
	closed  bool                // guarded by mu

	notes  map[fetch.Source][]string // guarded by mu; what there is to say of what was fetched last
	shared map[string]shared         // guarded by mu; what replicas have shared, by sharedID

	watches  map[string]*watched // guarded by mu; by namespace
	watching int                 // guarded by mu; how many watches there are
}

// entry is one source. Its fields are guarded by Resolver.mu.
type entry struct {
	source     Source
	namespaces map[string]bool
	from       *fetch.Source // where it is fetched; nil: it is not, or not yet
	state      State
	settled    bool // there has been an outcome
	credential parts
}

// State is what is known of a source.
type State struct {
	// Set is the last good key set; Keys is how many keys it has, and 0 if there has been none.
	Set  bundle.KeySet
	Keys int
	// Fetched is when the source was last read with success.
	Fetched time.Time
	// Err says why the source cannot be read; nil if it can or has not been tried.
	Err error
	// Algorithms are those that keys of Set fit.
	Algorithms []string
	// Notes are those of keyset.Set: the keys that were left out of Set, and why, say.
	Notes []string
	// ClusterIssuer is the cluster's own issuer, for a source of kind kubernetes.
	ClusterIssuer string
}

// New returns a Resolver. Run or Close it.
func New(o Options) (*Resolver, error) {
	if o.Reader == nil || o.Cluster == nil {
		return nil, errors.New("keys: Reader and Cluster are required")
	}
	if o.Changed == nil {
		o.Changed = func(string) {}
	}
	if o.Checked == nil {
		o.Checked = func(Checked) {}
	}
	if o.Poll <= 0 {
		o.Poll = 5 * time.Second
	}
	r := &Resolver{
		options: o, reading: make(chan struct{}, 8),
		entries: map[string]*entry{}, wanted: map[string][]string{}, seen: map[object]string{}, heard: map[object]uint64{},
		notes: map[fetch.Source][]string{}, watches: map[string]*watched{},
	}
	if r.options.Metrics == nil {
		r.options.Metrics = NewMetrics()
	}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.poller = fetch.NewPoller(fetch.PollerOptions{Fetch: r.fetch, Changed: r.fetched, Checked: r.checked})
	return r, nil
}

// Want says which sources a namespace needs from now on. New ones are read at once, in the background; those that no
// namespace wants any more are forgotten, their last good keys too.
func (r *Resolver) Want(namespace string, sources []Source) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	ids := make([]string, 0, len(sources))
	now := map[string]bool{}
	for _, s := range sources {
		if s.ID == "" || now[s.ID] {
			continue
		}
		now[s.ID] = true
		ids = append(ids, s.ID)
		e := r.entries[s.ID]
		if e == nil {
			s.root = object{secret, r.options.Namespace, NonceSecret}
			e = &entry{source: s, namespaces: map[string]bool{}}
			r.entries[s.ID] = e
			r.begin(e)
		}
		e.namespaces[namespace] = true
	}
	for _, id := range r.wanted[namespace] {
		if e := r.entries[id]; e != nil && !now[id] {
			delete(e.namespaces, namespace)
			if len(e.namespaces) == 0 {
				delete(r.entries, id)
			}
		}
	}
	if r.wanted[namespace] = ids; len(ids) == 0 {
		delete(r.wanted, namespace)
	}
	r.rewatch(namespace)
	r.poll()
}

// begin sets a new source going. It is called with mu held.
func (r *Resolver) begin(e *entry) {
	switch holder, _, held := e.source.holder(); {
	case held:
		r.readSoon(holder)
		if authority, _, ok := e.source.authority(); ok && authority != holder {
			r.readSoon(authority)
		}
	case !e.source.fetched():
		r.take(e, []byte(e.source.Keys.JWKS), time.Now(), nil)
	default:
		if authority, _, ok := e.source.authority(); ok {
			r.readSoon(authority)
			return
		}
		from := e.source.address("")
		e.from = &from
	}
}

// poll tells the poller what to fetch. It is called with mu held.
func (r *Resolver) poll() {
	var from []fetch.Source
	for _, e := range r.entries {
		if e.from != nil {
			from = append(from, *e.from)
		}
	}
	r.poller.Set(from)
	maps.DeleteFunc(r.notes, func(s fetch.Source, _ []string) bool {
		_, wanted := r.poller.Get(s)
		return !wanted
	})
	for _, e := range r.entries {
		if e.from == nil || e.state.Keys > 0 || e.state.Err != nil {
			continue
		}
		if s, ok := r.poller.Get(*e.from); ok && (s.Keys != nil || s.Err != nil) { // fetched for another already
			r.take(e, s.Keys, s.Fetched, s.Err)
		} else if k, ok := r.sharedFor(e); ok { // until the fetch ends
			r.take(e, k.JWKS, k.Fetched, nil)
		}
	}
}

// Settled reports whether each source that a namespace wants has been tried once. Options.Changed is called when one is.
func (r *Resolver) Settled(namespace string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range r.wanted[namespace] {
		if !r.entries[id].settled {
			return false
		}
	}
	return true
}

// States returns what is known of the sources that a namespace wants, by id.
func (r *Resolver) States(namespace string) map[string]State {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make(map[string]State, len(r.wanted[namespace]))
	for _, id := range r.wanted[namespace] {
		out[id] = r.state(r.entries[id])
	}
	return out
}

// Fetches says how the fetches of sources go, by id: of those that a namespace wants, or with "" of all.
func (r *Resolver) Fetches(namespace string) map[string]fetch.Report {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := map[string]fetch.Report{}
	for id, e := range r.entries {
		if e.from == nil || namespace != "" && !e.namespaces[namespace] {
			continue
		}
		if s, ok := r.poller.Get(*e.from); ok {
			out[id] = s.Report()
		}
	}
	return out
}

// Failing returns why sources that are fetched cannot be, by id. Objects are read by every replica.
func (r *Resolver) Failing() map[string]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := map[string]string{}
	for id, e := range r.entries {
		if e.from != nil && e.state.Err != nil {
			out[id] = e.state.Err.Error()
		}
	}
	return out
}

// state is called with mu held.
func (r *Resolver) state(e *entry) State {
	s := e.state
	if e.from != nil {
		if p, ok := r.poller.Get(*e.from); ok && p.Fetched.After(s.Fetched) {
			s.Fetched = p.Fetched
		}
	}
	if e.source.Keys.Kubernetes != nil {
		s.ClusterIssuer = r.issuer
	}
	return s
}

// Refetch asks for new keys of a source that is fetched over HTTP: a token named a key that the set lacks, say. However
// often it is called, a source is fetched no more often than fetch.Burst and fetch.MinGap allow. Options.Checked is called
// once it has been. Objects are read often enough anyhow.
func (r *Resolver) Refetch(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.entries[id]; e != nil && e.from != nil {
		r.poller.Refetch(*e.from)
	}
}

// Close stops all reading, and waits until none is running.
func (r *Resolver) Close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.cancel()
	r.poller.Close()
	r.wait.Wait()
}
