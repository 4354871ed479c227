package revsource

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"runtime"
	"time"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bearerguard/bearerguard/api/fair"
	"github.com/bearerguard/bearerguard/api/keyset"
	"github.com/bearerguard/bearerguard/api/revoked"
	"github.com/bearerguard/bearerguard/controllers/keys"
	"github.com/bearerguard/bearerguard/controllers/revstore"
	"github.com/bearerguard/bearerguard/controllers/secevent"
)

// requestTimeout bounds what an event waits for: its turn, new keys, and to be stored.
const requestTimeout = 10 * time.Second

// noteEvery is how often it is stored that events come which bring nothing new.
const noteEvery = time.Minute

// Receiver takes events. It is safe for concurrent use.
type Receiver struct {
	sources     registry
	keys        *keys.Resolver
	store       putter
	shares      shares
	turns       *turns
	fresh       newKeys
	credentials credentials
	metrics     *Metrics
	log         logr.Logger
	now         func() time.Time
}

// putter stores; a revstore.Store is one.
type putter interface {
	Put(ctx context.Context, source revstore.Source, records []revoked.Record, at time.Time) error
}

func newReceiver(store putter, secrets client.Reader, m *Metrics, log logr.Logger) *Receiver {
	return &Receiver{
		store: store, turns: newTurns(max(1, runtime.GOMAXPROCS(0)/2), 1024), credentials: credentials{reader: secrets, now: time.Now},
		metrics: m, log: log, now: time.Now,
	}
}

// authority returns the certificates that a source's caSecretRef names; nil: the system's.
func (r *Receiver) authority(ctx context.Context, s *served) ([]byte, error) {
	if s.spec.CASecretRef == nil {
		return nil, nil
	}
	return r.credentials.entry(ctx, client.ObjectKey{Namespace: s.ref.Namespace, Name: s.spec.CASecretRef.Name}, s.spec.CASecretRef.Key, credentialsAge)
}

// read has a token read with the keys that there are, and once more if the provider has newer ones. Who has it wait for these in vain pays
// as for a refusal: it takes no signature.
func (r *Receiver) read(ctx context.Context, s *served, from netip.Prefix, read func([]keyset.Key) error) error {
	known, err := r.firstKeys(ctx, s)
	if err != nil {
		return err
	}
	err = r.verify(ctx, known, read)
	if err == nil && from != fetched {
		s.proven.note(from)
	}
	if !errors.Is(err, secevent.ErrUnknownKey) || !s.fetched() {
		return err
	}
	if err := r.fresh.wait(ctx, s.keyID, caller{from, s.proven.has(from)}, r.keys.Refetch); err != nil {
		if !errors.Is(err, errCrowded) {
			r.shares.refused(from, r.now())
		}
		return err
	}
	if known, err = r.keysOf(s); err != nil {
		return err
	}
	if err = r.verify(ctx, known, read); err == nil && from != fetched {
		s.proven.note(from)
	}
	return err
}

// verify waits for its turn.
func (r *Receiver) verify(ctx context.Context, known []keyset.Key, read func([]keyset.Key) error) error {
	done, err := r.turns.take(ctx)
	if err != nil {
		return errCrowded
	}
	defer done()
	return read(known)
}

// ServeHTTP takes what identity providers post.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	ctx, cancel := context.WithTimeout(req.Context(), requestTimeout)
	defer cancel()
	from := fair.Place(req.RemoteAddr)
	if !r.shares.take(from, 1, r.now()) {
		r.metrics.count(nil, resultLimited)
		later(w, http.StatusTooManyRequests, 1)
		return
	}
	s := r.sources.at(req.URL.Path)
	if s == nil {
		r.metrics.count(nil, resultUnknown)
		r.shares.refused(from, r.now())
		http.NotFound(w, req)
		return
	}
	take := r.logout
	if s.spec.SharedSignals != nil {
		take = r.push
	}
	result := take(ctx, w, req, s)
	r.metrics.count(s, result)
	if result == resultRefused {
		r.shares.refused(from, r.now())
	}
}
