package fetch

import (
	"bytes"
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/bearerguard/bearerguard/api/printable"
)

// Times of a Poller.
const (
	// MinGap is the time in which one more fetch of a source may be asked for.
	MinGap = 5 * time.Second
	// Burst is how many fetches of a source may be asked for without a gap, where none was for Burst times MinGap. So in
	// any time t there are at most Burst + t/MinGap fetches of a source, however often they are asked for.
	Burst = 4
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
	// Checked is called after every fetch that moved State.Checked, and after Changed. It must not block for long either.
	// Default: nothing.
	Checked func(Source)
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
	// Checked is when the fetch began that ended last, whatever came of it: Keys are what the source had then, or the last
	// good ones. A first failure that is followed by another try at once does not count.
	Checked time.Time
	// Next is when another fetch could be asked for, after the one that ended last.
	Next time.Time
	// Due is when the next fetch begins if nobody asks for one; zero while the first is under way.
	Due time.Time
}

// Report is what may be shown of how the fetches of a source go.
type Report struct {
	// Fetched is when the keys in use were last confirmed; zero without any.
	Fetched time.Time `json:"fetched,omitzero"`
	// Next is when they are fetched again, if no token asks for it earlier.
	Next time.Time `json:"next,omitzero"`
	// Failures counts the failed fetches since the last good one, and Error is why the last one failed.
	Failures int    `json:"failures,omitempty"`
	Error    string `json:"error,omitempty"`
}

// mostError is how much is shown of an error, in bytes.
const mostError = 1024

// Report says how the fetches go.
func (s State) Report() Report {
	r := Report{Fetched: s.Fetched, Next: s.Due, Failures: s.Failures}
	if s.Err != nil {
		r.Error = printable.Text(s.Err.Error(), mostError)
	}
	return r
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
	pace  pace  // guarded by Poller.mu
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
	if o.Checked == nil {
		o.Checked = func(Source) {}
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

// Refetch asks for a fetch of s that begins from now on, as soon as Burst and MinGap allow; a token named a key that the
// set lacks, say. Any number of calls until it begins make one fetch. It returns how long that is from now, 0 if it can
// begin at once or when the one that runs has ended, and false if s was not Set.
func (p *Poller) Refetch(s Source) (in time.Duration, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	q := p.polled[s]
	if q == nil {
		return 0, false
	}
	select {
	case q.again <- struct{}{}:
	default: // already asked for
	}
	return q.pace.in(time.Now()), true
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
	for wished := false; ; {
		started, asked := p.begin(q)
		wished = wished || asked
		keys, meta, err := p.options.Fetch(ctx, s)
		if err == nil {
			keys, err = p.options.Vet(keys)
		}
		o, current := p.settle(ctx, q, outcome{keys: keys, err: err, began: started, wished: wished})
		if !current {
			return
		}
		if o.changed {
			p.options.Changed(s)
		}
		if !o.retry {
			p.options.Checked(s)
		}
		wait := sleep{long: max(pause(o.failures, meta), MinGap-time.Since(started)), short: p.next(q)}
		if o.retry {
			wait.long = pause(o.failures, meta)
		}
		p.due(q, wait.long)
		asked, more := wait.until(ctx, q.again)
		if !more {
			return
		}
		wished = asked || o.retry
	}
}

// begin counts a fetch, and takes the wish that it fulfils, if there is one.
func (p *Poller) begin(q *polled) (now time.Time, asked bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-q.again:
		asked = true
	default:
	}
	now = time.Now()
	q.pace.take(now)
	return now, asked
}

// next is how long it is until a fetch may be asked for.
func (p *Poller) next(q *polled) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return q.pace.in(time.Now())
}

// due notes when the next fetch begins.
func (p *Poller) due(q *polled, in time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	q.state.Due = time.Now().Add(in)
}

// outcome is what came of a fetch.
type outcome struct {
	keys   []byte
	err    error
	began  time.Time
	wished bool // it was asked for

	failures int  // in a row
	changed  bool // there is news
	retry    bool // it is tried again at once
}

// settle takes over the outcome of a fetch, unless the source has been forgotten meanwhile. Of fetches that were asked
// for, a first failure is tried again as soon as a failure may be: a server that restarts is no reason to refuse a token.
func (p *Poller) settle(ctx context.Context, q *polled, o outcome) (_ outcome, current bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if ctx.Err() != nil {
		return o, false
	}
	old, now := q.state, time.Now()
	q.state.Next = now.Add(q.pace.in(now))
	if o.err != nil {
		q.state.Err = o.err
		q.state.Failures++
		o.failures, o.changed = q.state.Failures, old.Err == nil || old.Err.Error() != o.err.Error()
		if o.retry = o.wished && o.failures == 1 && q.pace.in(now) == 0; !o.retry {
			q.state.Checked = o.began
		}
		return o, true
	}
	q.state = State{Keys: o.keys, Fetched: now, Checked: o.began, Next: q.state.Next, Due: old.Due}
	o.changed = old.Keys == nil || old.Err != nil || !bytes.Equal(old.Keys, o.keys)
	return o, true
}

// sleep is a wait that lasts long, or until somebody asks for its end but at least short.
type sleep struct{ long, short time.Duration }

// until reports whether its end was asked for, and more is false when ctx is done.
func (s sleep) until(ctx context.Context, again <-chan struct{}) (asked, more bool) {
	long, short := time.NewTimer(s.long), time.NewTimer(s.short)
	defer long.Stop()
	defer short.Stop()
	select {
	case <-ctx.Done():
		return false, false
	case <-long.C:
		return false, true
	case <-short.C:
	}
	select {
	case <-ctx.Done():
		return false, false
	case <-long.C:
		return false, true
	case <-again:
		return true, true
	}
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
