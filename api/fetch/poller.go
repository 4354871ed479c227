package fetch

import (
	"bytes"
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// Times of a Poller.
const (
	// MinGap is the least time between the starts of two fetches of one source, whoever asks.
	MinGap = 5 * time.Second
	// DefaultRefresh is how long keys are kept when their answer does not speak of it.
	DefaultRefresh = 5 * time.Minute
	// MinRefresh and MaxRefresh bound what an answer's Cache-Control can ask for.
	MinRefresh = time.Minute
	MaxRefresh = time.Hour
	// MaxBackoff is the longest wait after a failure; the first is a second, and each doubles.
	MaxBackoff = time.Minute
)

// PollerOptions are what a Poller needs.
type PollerOptions struct {
	// Fetch gets a source's key set once. Default: Source.Fetch with the zero Options.
	Fetch func(context.Context, Source) ([]byte, Meta, error)
	// Vet checks an answer and returns what to keep of it; an error counts as a failed fetch. Default: keep all.
	Vet func([]byte) ([]byte, error)
	// Changed is called after a source's keys or its error changed. It must not block for long: it holds up the source's
	// next fetch, though no other source's. Default: nothing.
	Changed func(Source)
}

// State is what is known of a source.
type State struct {
	// Keys is the last good answer, as vetted; nil if there has been none. It is shared: do not modify.
	Keys []byte
	// Fetched is when Keys was last confirmed.
	Fetched time.Time
	// Err is why the last fetch failed; nil if it did not, or there was none.
	Err error
	// Failures counts the failed fetches since the last good one.
	Failures int
}

// Poller keeps the key sets of many sources fresh. Its methods are safe for concurrent use.
type Poller struct {
	options PollerOptions // immutable

	mu      sync.Mutex
	polled  map[Source]*polled // guarded by mu
	stopped bool               // guarded by mu
	wait    sync.WaitGroup
}

// polled is one source with a goroutine of its own, so that it waits for nobody.
type polled struct {
	stop  context.CancelFunc
	again chan struct{} // holds at most one wish to fetch now

	state State // guarded by Poller.mu
}

// NewPoller returns a Poller without sources. Stop it with Close.
func NewPoller(o PollerOptions) *Poller {
	if o.Fetch == nil {
		o.Fetch = func(ctx context.Context, s Source) ([]byte, Meta, error) { return s.Fetch(ctx, Options{}) }
	}
	if o.Vet == nil {
		o.Vet = func(b []byte) ([]byte, error) { return b, nil }
	}
	if o.Changed == nil {
		o.Changed = func(Source) {}
	}
	return &Poller{options: o, polled: map[Source]*polled{}}
}

// Set says which sources are wanted from now on. New ones are fetched at once; those no longer wanted are forgotten,
// their last good keys too.
func (p *Poller) Set(sources []Source) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return
	}
	wanted := make(map[Source]bool, len(sources))
	for _, s := range sources {
		wanted[s] = true
		if p.polled[s] == nil {
			p.polled[s] = p.start(s)
		}
	}
	for s, q := range p.polled {
		if !wanted[s] {
			q.stop()
			delete(p.polled, s)
		}
	}
}

// Get returns what is known of a source, and whether it is one that was Set.
func (p *Poller) Get(s Source) (State, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	q := p.polled[s]
	if q == nil {
		return State{}, false
	}
	return q.state, true
}

// Refetch asks for a fetch of s as soon as MinGap allows; a token named a key that the set lacks, say. Any number of
// calls until then make one fetch. A source that was not Set is left alone.
func (p *Poller) Refetch(s Source) {
	p.mu.Lock()
	defer p.mu.Unlock()
	q := p.polled[s]
	if q == nil {
		return
	}
	select {
	case q.again <- struct{}{}:
	default: // already asked for
	}
}

// Close stops all fetches and waits until none is running. Nothing is Changed after it.
func (p *Poller) Close() {
	p.mu.Lock()
	p.stopped = true
	for s, q := range p.polled {
		q.stop()
		delete(p.polled, s)
	}
	p.mu.Unlock()
	p.wait.Wait()
}

// start is called with mu held.
func (p *Poller) start(s Source) *polled {
	ctx, cancel := context.WithCancel(context.Background())
	q := &polled{stop: cancel, again: make(chan struct{}, 1)}
	p.wait.Go(func() { p.poll(ctx, s, q) })
	return q
}

func (p *Poller) poll(ctx context.Context, s Source, q *polled) {
	for {
		started := time.Now()
		keys, meta, err := p.options.Fetch(ctx, s)
		if err == nil {
			keys, err = p.options.Vet(keys)
		}
		failures, changed, current := p.settle(ctx, q, keys, err)
		if !current {
			return
		}
		if changed {
			p.options.Changed(s)
		}
		if !sleep(ctx, q.again, pause(failures, meta), MinGap-time.Since(started)) {
			return
		}
	}
}

// settle takes over the outcome of a fetch, unless the source has been forgotten meanwhile.
func (p *Poller) settle(ctx context.Context, q *polled, keys []byte, err error) (failures int, changed, current bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if ctx.Err() != nil {
		return 0, false, false
	}
	old := q.state
	if err != nil {
		q.state.Err = err
		q.state.Failures++
		return q.state.Failures, old.Err == nil || old.Err.Error() != err.Error(), true
	}
	q.state = State{Keys: keys, Fetched: time.Now()}
	return 0, old.Keys == nil || old.Err != nil || !bytes.Equal(old.Keys, keys), true
}

// sleep waits for d, or for a wish to go on earlier but at least for gap. It reports false when ctx is done.
func sleep(ctx context.Context, again <-chan struct{}, d, gap time.Duration) bool {
	long, short := time.NewTimer(max(d, gap)), time.NewTimer(gap)
	defer long.Stop()
	defer short.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-long.C:
		return true
	case <-short.C:
	}
	select {
	case <-ctx.Done():
		return false
	case <-long.C:
	case <-again:
	}
	return true
}

// pause is how long to wait for the next fetch: after a success as the answer asks, within bounds, and a tenth less at
// random; after failures a time that doubles, half of it at random. So that many do not come at once.
func pause(failures int, meta Meta) time.Duration {
	if failures > 0 {
		d := min(MaxBackoff, time.Second<<min(failures-1, 10))
		return d/2 + rand.N(d/2)
	}
	d := DefaultRefresh
	if meta.HasMaxAge {
		d = min(max(meta.MaxAge, MinRefresh), MaxRefresh)
	}
	return d - rand.N(d/10)
}
