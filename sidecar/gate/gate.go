package gate

import (
	"maps"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/departed"
	"github.com/bearerguard/bearerguard/sidecar/token"
)

// Options are settings of a Gate. All may be left out.
type Options struct {
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// OnUnknownKey is told the id of a key source (bundle.SourceID) that lacks the key of a token that was refused, at
	// most once in UnknownKeyEvery for each source however many such tokens come. It must not block.
	OnUnknownKey func(sourceID string)
	// UnknownKeyEvery is 5 s by default.
	UnknownKeyEvery time.Duration
	// KeyWait is how long JudgeWaiting waits, from the moment the keys were asked for; 3 s by default.
	KeyWait time.Duration
	// OnPanic is told the stack of a panic while judging; the request has been refused.
	OnPanic func(stack []byte)
}

// Gate judges requests by the snapshot in force. It is safe for concurrent use.
type Gate struct {
	opts     Options
	snapshot atomic.Pointer[Snapshot]
	waiting  *waiting
	gone     departed.Set // outlives snapshots
	requests sync.Pool    // of *decision.Request: conditions on a request take it by reference

	mu    sync.Mutex           // guards what follows
	asked map[string]time.Time // key source -> when it was last reported
	past  token.Stats          // counts of the caches of snapshots that were replaced
}

// New returns a gate without a snapshot: it refuses everything with NotReady.
func New(o Options) *Gate {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.UnknownKeyEvery == 0 {
		o.UnknownKeyEvery = 5 * time.Second
	}
	if o.KeyWait == 0 {
		o.KeyWait = 3 * time.Second
	}
	return &Gate{
		opts: o, waiting: newWaiting(), asked: map[string]time.Time{},
		requests: sync.Pool{New: func() any { return new(decision.Request) }},
	}
}

// Swap puts a snapshot in force; each snapshot once. Requests that are being judged finish under the one they began with.
func (g *Gate) Swap(s *Snapshot) {
	g.mu.Lock()
	if old := g.snapshot.Swap(s); old != nil {
		c := old.CacheStats()
		g.past.Hits += c.Hits
		g.past.Misses += c.Misses
		g.past.Evictions += c.Evictions
	}
	g.mu.Unlock()
	g.waiting.wake()
}

// CacheStats returns the counts of the caches of verified tokens since the gate was made, and what the one in force
// holds. What requests count that were being judged during a Swap may be left out.
func (g *Gate) CacheStats() token.Stats {
	g.mu.Lock()
	defer g.mu.Unlock()
	sum := g.past
	if s := g.snapshot.Load(); s != nil {
		c := s.CacheStats()
		sum.Hits += c.Hits
		sum.Misses += c.Misses
		sum.Evictions += c.Evictions
		sum.Entries, sum.Bytes = c.Entries, c.Bytes
	}
	return sum
}

// Gone takes in pods and service accounts of this cluster that have been deleted: tokens that are bound to them are Revoked
// from now on, whichever snapshot is in force.
func (g *Gate) Gone(entries []departed.Entry) { g.gone.Add(g.opts.Now(), entries...) }

// Snapshot returns the snapshot in force, or nil before the first Swap.
func (g *Gate) Snapshot() *Snapshot { return g.snapshot.Load() }

// Judge settles a request's fate. It does not block, but for other requests with the same token that is being
// verified. A panic anywhere below is a refusal with InternalError.
func (g *Gate) Judge(r *Request) (v Verdict) {
	defer func() {
		if p := recover(); p != nil {
			v = Verdict{Reason: decision.InternalError}
			if g.opts.OnPanic != nil {
				g.opts.OnPanic(debug.Stack())
			}
		}
	}()
	s := g.snapshot.Load()
	if s == nil {
		return Verdict{Reason: decision.NotReady}
	}
	s.judge(r, g, &v)
	return v
}

// report tells of key sources that lack a token's key. It returns when the newest of them was last told of; zero if
// nobody is told.
func (g *Gate) report(sources []string, now time.Time) (last time.Time) {
	if g.opts.OnUnknownKey == nil {
		return last
	}
	for _, id := range sources {
		at, due := g.ask(id, now)
		if due {
			g.opts.OnUnknownKey(id)
		}
		if at.After(last) {
			last = at
		}
	}
	return last
}

// ask returns when a key source was last told of, and whether that is now.
func (g *Gate) ask(id string, now time.Time) (at time.Time, due bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	at, known := g.asked[id]
	age := now.Sub(at) // negative if the clock was set back
	if known && age >= 0 && age < g.opts.UnknownKeyEvery {
		return at, false
	}
	maps.DeleteFunc(g.asked, func(_ string, at time.Time) bool { return now.Sub(at) >= g.opts.UnknownKeyEvery })
	g.asked[id] = now
	return now, true
}
