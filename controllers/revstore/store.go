package revstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bearerguard/bearerguard/api/revoked"
	"github.com/bearerguard/bearerguard/api/v1alpha1"
)

// Bounds of what is stored at a time.
const (
	// writeGap is the least time between the writes of a source that something waits for.
	writeGap = 100 * time.Millisecond
	// writeTimeout bounds a write.
	writeTimeout = 5 * time.Second
	// writesAtOnce bounds the writes of all sources that are under way.
	writesAtOnce = 4
	// full is how many entries close a chunk.
	full = 512
	// maxBatch is how many entries go into a write.
	maxBatch = 4096
	// maxWaiting bounds who waits for a source, and maxAllWaiting for all of them.
	maxWaiting, maxAllWaiting = 512, 2048
	// Reserve is how many entries sources leave to TokenRevocations, of the million of a namespace: one object's.
	Reserve = 10_000
)

// Why nothing is stored.
var (
	// ErrBusy says that too many wait already.
	ErrBusy = errors.New("too many events wait to be stored")
	// ErrNoRoom says that the namespace has as many entries as it may have.
	ErrNoRoom = errors.New("the namespace has no room for more entries")
	// ErrNotStored says that the API server did not take it.
	ErrNotStored = errors.New("cannot store entries")
)

// Store writes what sources have taken back. It is safe for concurrent use.
type Store struct {
	// Client writes, without a cache. Required.
	Client client.Client
	// Held is how many entries a namespace has. Default: none.
	Held func(namespace string) int

	once    sync.Once
	places  chan struct{}
	mu      sync.Mutex
	writers map[Source]*writer // guarded by mu
	waiting int                // guarded by mu
}

// writer writes for one source. Its fields are guarded by Store.mu, but for open and wrote, which are those of the goroutine that writes.
type writer struct {
	queue []*put
	runs  bool

	open  *v1alpha1.RevocationChunk // as it was written last; nil: none
	list  revoked.List              // of open
	wrote time.Time
}

// put is one who waits.
type put struct {
	records []revoked.Record
	at      time.Time
	done    chan error
}

// Put stores entries of a source, and when its newest event came; it returns once they are stored, or with an error if they may not be. What
// is stored already may be stored again.
func (s *Store) Put(ctx context.Context, source Source, records []revoked.Record, at time.Time) error {
	if s.Held != nil && len(records) > 0 && s.Held(source.Namespace)+len(records) > revoked.Most-Reserve {
		return ErrNoRoom
	}
	p := &put{records: records, at: at, done: make(chan error, 1)}
	if err := s.enqueue(ctx, source, p); err != nil {
		return err
	}
	select {
	case err := <-p.done:
		return err
	case <-ctx.Done():
		return ctx.Err() // it is stored or not; who asks again does no harm
	}
}

func (s *Store) enqueue(ctx context.Context, source Source, p *put) error {
	s.once.Do(func() { s.places = make(chan struct{}, writesAtOnce) })
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.writers == nil {
		s.writers = map[Source]*writer{}
	}
	w := s.writers[source]
	if w == nil {
		w = &writer{}
		s.writers[source] = w
	}
	if len(w.queue) >= maxWaiting || s.waiting >= maxAllWaiting {
		return ErrBusy
	}
	w.queue = append(w.queue, p)
	s.waiting++
	if !w.runs {
		w.runs = true
		go s.run(context.WithoutCancel(ctx), source, w)
	}
	return nil
}

// Forget drops what is remembered of sources of a namespace other than these.
func (s *Store) Forget(namespace string, but map[Source]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for source, w := range s.writers {
		if source.Namespace == namespace && !but[source] && !w.runs {
			delete(s.writers, source)
		}
	}
}

// run writes until nobody waits any more.
func (s *Store) run(ctx context.Context, source Source, w *writer) {
	for s.waits(w) {
		if rest := writeGap - time.Since(w.wrote); rest > 0 {
			<-time.After(rest)
		}
		batch := s.take(w)
		s.places <- struct{}{}
		err := w.write(ctx, s.Client, source, batch)
		<-s.places
		w.wrote = time.Now()
		for _, p := range batch {
			p.done <- err
		}
	}
}

// waits reports whether anybody does; if not, the writer has ended.
func (s *Store) waits(w *writer) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	w.runs = len(w.queue) > 0
	return w.runs
}

// take returns who has waited longest.
func (s *Store) take(w *writer) (batch []*put) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for len(w.queue) > 0 && (n == 0 || n+len(w.queue[0].records) <= maxBatch) {
		p := w.queue[0]
		w.queue, batch, n = w.queue[1:], append(batch, p), n+len(p.records)
	}
	s.waiting -= len(batch)
	return batch
}

// write stores a batch, in the open chunk or in a new one.
func (w *writer) write(ctx context.Context, c client.Client, source Source, batch []*put) error {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	var records []revoked.Record
	var at time.Time
	for _, p := range batch {
		records = append(records, p.records...)
		if p.at.After(at) {
			at = p.at
		}
	}
	added := revoked.Merge(records)
	if w.open != nil {
		list := revoked.Merge(w.list, added)
		next := w.open.DeepCopy()
		fill(next, list, at)
		err := c.Update(ctx, next)
		if err == nil {
			w.keep(next, list)
			return nil
		}
		w.open, w.list = nil, nil // whatever became of it: it holds what it held, or has been merged into another
		if !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			return fmt.Errorf("%w: %w", ErrNotStored, err)
		}
	}
	first := newChunk(source, added, at)
	if err := c.Create(ctx, first); err != nil {
		return fmt.Errorf("%w: %w", ErrNotStored, err)
	}
	w.keep(first, added)
	return nil
}

// keep goes on with a chunk, unless it is full.
func (w *writer) keep(c *v1alpha1.RevocationChunk, list revoked.List) {
	w.open, w.list = c, list
	if len(list) >= full {
		w.open, w.list = nil, nil
	}
}
