package gate

import (
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bearerguard/bearerguard/api/decision"
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
	requests sync.Pool // of *decision.Request: conditions on a request take it by reference
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
	return &Gate{opts: o, waiting: newWaiting(), requests: sync.Pool{New: func() any { return new(decision.Request) }}}
}

// Swap puts a snapshot in force. Requests that are being judged finish under the one they began with.
func (g *Gate) Swap(s *Snapshot) {
	g.snapshot.Store(s)
	g.waiting.wake()
}

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

// report tells of sources that lack a token's key. It returns when the newest of them was last told of; zero if nobody is
// told.
func (g *Gate) report(sources []*source, now time.Time) (asked time.Time) {
	if g.opts.OnUnknownKey == nil {
		return asked
	}
	for _, src := range sources {
		last := src.reported.Load()
		age := time.Duration(now.UnixNano() - last) // negative if the clock was set back
		if (age < 0 || age >= g.opts.UnknownKeyEvery) && src.reported.CompareAndSwap(last, now.UnixNano()) {
			g.opts.OnUnknownKey(src.id)
		}
		if at := time.Unix(0, src.reported.Load()); at.After(asked) {
			asked = at
		}
	}
	return asked
}
