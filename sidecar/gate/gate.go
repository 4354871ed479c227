package gate

import (
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/departed"
	"github.com/bearerguard/bearerguard/api/revoked"
	"github.com/bearerguard/bearerguard/sidecar/dpop"
	"github.com/bearerguard/bearerguard/sidecar/token"
)

// Options are settings of a Gate. All may be left out.
type Options struct {
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// OnUnknownKey is told the id of a key source (bundle.SourceID) whose keys do not verify a token that was refused,
	// each time. It returns how long it is until the keys can be looked at anew, 0 if that is at once or not known, and
	// false if they never are: nobody waits for those. It must not block; Checked is to be called when they have been.
	OnUnknownKey func(sourceID string) (in time.Duration, ok bool)
	// KeyWait is how long JudgeWaiting waits at most; DefaultKeyWait by default.
	KeyWait time.Duration
	// MaxWaiting is how many requests wait in it at a time; DefaultMaxWaiting by default.
	MaxWaiting int
	// AwaitRevocations says that every request is refused with NotReady until Revoke was called.
	AwaitRevocations bool
	// OnPanic is told the stack of a panic while judging; the request has been refused.
	OnPanic func(stack []byte)
}

// Gate judges requests by the snapshot in force. It is safe for concurrent use.
type Gate struct {
	opts     Options
	snapshot atomic.Pointer[Snapshot]
	revoked  atomic.Pointer[revoked.Set] // outlives snapshots; nil: nobody has said what is
	stale    atomic.Bool                 // the snapshot is too old
	room     *room                       // requests that wait for keys
	line     *line                       // requests whose judgement takes long
	gone     *departed.Set               // outlives snapshots
	proofs   *dpop.Memory                // outlives snapshots
	requests sync.Pool                   // of *decision.Request: conditions on a request take it by reference

	mu   sync.Mutex  // guards what follows
	past token.Stats // counts of the caches of snapshots that were replaced
	used uint64      // of their answers
}

// New returns a gate without a snapshot: it refuses everything with NotReady.
func New(o Options) *Gate {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.KeyWait == 0 {
		o.KeyWait = DefaultKeyWait
	}
	if o.MaxWaiting == 0 {
		o.MaxWaiting = DefaultMaxWaiting
	}
	return &Gate{
		opts: o, room: newRoom(o.MaxWaiting), line: newLine(mostQueued), gone: &departed.Set{}, proofs: dpop.NewMemory(0),
		requests: sync.Pool{New: func() any { return new(decision.Request) }},
	}
}

// ProofStats returns how many DPoP proofs are remembered, and how many had to be forgotten while they were fresh.
func (g *Gate) ProofStats() (remembered int, forgotten uint64) { return g.proofs.Stats() }

// Swap puts a snapshot in force; each snapshot once. Requests that are being judged finish under the one they began with.
func (g *Gate) Swap(s *Snapshot) {
	g.mu.Lock()
	if old := g.snapshot.Swap(s); old != nil {
		c := old.CacheStats()
		g.past.Hits += c.Hits
		g.past.Misses += c.Misses
		g.past.Evictions += c.Evictions
		g.used += old.answers.used.Load()
	}
	g.mu.Unlock()
	g.room.wake()
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

// AnswersUsed returns how often a token was let through to the rules by what its issuer had said of it before, without being asked
// (RFC 7662), since the gate was made. What CacheStats leaves out is left out.
func (g *Gate) AnswersUsed() uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	sum := g.used
	if s := g.snapshot.Load(); s != nil {
		sum += s.answers.used.Load()
	}
	return sum
}

// Gone takes in pods and service accounts of this cluster that have been deleted: tokens that are bound to them are Revoked
// from now on, whichever snapshot is in force.
func (g *Gate) Gone(entries []departed.Entry) { g.gone.Add(g.opts.Now(), entries...) }

// Revoke makes a set of revocations the one in force, whichever snapshot is; what was cached of tokens stays good.
func (g *Gate) Revoke(s *revoked.Set) { g.revoked.Store(s) }

// Revocations returns the set in force; nil before the first Revoke.
func (g *Gate) Revocations() *revoked.Set { return g.revoked.Load() }

// Ready reports whether there is all that requests are judged by.
func (g *Gate) Ready() bool {
	return g.snapshot.Load() != nil && (!g.opts.AwaitRevocations || g.revoked.Load() != nil)
}

// SetStale says whether the snapshot in force is too old to go by: then every request is refused with Stale, until there is
// word that it is the newest.
func (g *Gate) SetStale(is bool) { g.stale.Store(is) }

// Stale reports what SetStale said last.
func (g *Gate) Stale() bool { return g.stale.Load() }

// Snapshot returns the snapshot in force, or nil before the first Swap.
func (g *Gate) Snapshot() *Snapshot { return g.snapshot.Load() }

// Judge settles a request's fate. It does not block, but for other requests with the same token that is being
// verified. A panic anywhere below is a refusal with InternalError.
func (g *Gate) Judge(r *Request) Verdict { return g.judge(r, decision.Budget{}) }

// judge is Judge within a budget.
func (g *Gate) judge(r *Request, b decision.Budget) (v Verdict) {
	defer func() {
		if p := recover(); p != nil {
			v = Verdict{Reason: decision.InternalError}
			if g.opts.OnPanic != nil {
				g.opts.OnPanic(debug.Stack())
			}
		}
	}()
	s := g.snapshot.Load()
	if s == nil || g.opts.AwaitRevocations && g.revoked.Load() == nil {
		return Verdict{Reason: decision.NotReady}
	}
	if g.stale.Load() {
		return Verdict{Reason: decision.Stale}
	}
	s.judge(r, g, b, &v)
	return v
}
