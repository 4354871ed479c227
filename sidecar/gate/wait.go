package gate

import (
	"context"
	"time"

	"github.com/bearerguard/bearerguard/api/decision"
)

// Times of requests that wait for keys.
const (
	// DefaultKeyWait is how long a request waits at most: for the gap between two fetches of a key set, 5 s, for the fetch
	// itself, and for its keys to get here.
	DefaultKeyWait = 10 * time.Second
	// disprovedFor is how long after a look at the keys the tokens that it did not help need not wait for another, while
	// they keep coming: two gaps, so that one look follows the other in time.
	disprovedFor = 10 * time.Second
	// briefly is how long such tokens wait for a look that is due at once.
	briefly = time.Second
	// glance is how often a client that waits is looked at, whether it is still there.
	glance = 250 * time.Millisecond
)

// Client is who sent a request, as far as it matters for one that waits.
type Client interface {
	// Left reports whether nobody waits for the answer any more. It is asked now and then, by one goroutine.
	Left() bool
}

// lack is what other keys, or an answer of the token's issuer, could change about a refusal, or time about any verdict.
type lack struct {
	sources  []string      // ids of key sets; not empty without a question or time
	in       time.Duration // how long it is until the last of them can be looked for
	question *question     // to be asked first; nil: none

	time   bool // the request was not judged, or not all of it, since that takes long
	proved bool // its proof of possession was taken nevertheless
}

// Open reports whether the verdict is only what holds until more has been done, which the request has not waited for.
func (v *Verdict) Open() bool { return v.lack != nil && (v.lack.time || v.lack.question != nil) }

// JudgeWaiting is Judge for requests that can wait: a token that only its issuer can tell about is asked about, and judged again with
// the answer. A token that fails for want of its key is judged again with each next
// snapshot, until its key sets have been looked at after the request came. So an issuer that signs with a new key at once
// refuses nobody; the same holds of keys that sign answers. The wait ends after Options.KeyWait at the latest, when ctx is done, and when the client has left.
//
// Of tokens that such a look has just not helped, others with their key id from the same client do not wait while the next
// look is not due: a flood of them is not held. Options.MaxWaiting bounds the requests that wait; where there are more, the
// clients that have most of them give way.
func (g *Gate) JudgeWaiting(ctx context.Context, r *Request) Verdict {
	under := g.snapshot.Load()
	v := g.Judge(r)
	if v.lack == nil {
		return v
	}
	return g.await(ctx, r, under, v)
}

// JudgeNow is JudgeWaiting for who must not wait, nor be held: where the verdict may become another one, wait is not nil, and goes on as
// JudgeWaiting does. That is also so where to judge the request takes long, by estimates: then wait judges it when it is its turn, of as
// many at a time as leave a processor to others; v holds if too many wait for theirs. wait may be called once, by another goroutine, and
// reads the request until it returns.
func (g *Gate) JudgeNow(r *Request) (v Verdict, wait func(context.Context) Verdict) {
	under := g.snapshot.Load()
	v = g.judge(r, decision.NewBudget(patience))
	if v.judged.brief = true; v.lack == nil {
		return v, nil
	}
	return v, g.waits(r, under, v)
}

// waits returns what JudgeNow does for a verdict under a snapshot.
func (g *Gate) waits(r *Request, under *Snapshot, v Verdict) func(context.Context) Verdict {
	waits := g.await
	if v.lack.time {
		waits = g.takeTurn
	}
	return func(ctx context.Context) Verdict {
		v := waits(ctx, r, under, v)
		v.judged.brief = true
		return v
	}
}

// takeTurn judges a request that was not judged for want of time, when it is its turn. v is what holds if that does not come.
func (g *Gate) takeTurn(ctx context.Context, r *Request, under *Snapshot, v Verdict) Verdict {
	own := *r
	own.proved = v.lack.proved
	t := g.line.enter(ClientOf(r.Remote))
	if t == nil || !g.comes(ctx, t, r.Client) {
		return g.await(ctx, &own, under, v)
	}
	under = g.snapshot.Load()
	if v = g.judgeTurn(own, t); v.lack == nil {
		return v
	}
	return g.await(ctx, &own, under, v)
}

// judgeTurn judges a request whose turn it is.
func (g *Gate) judgeTurn(r Request, t *turn) Verdict {
	defer g.line.end(t)
	r.Time = time.Time{} // it is later by now
	return g.Judge(&r)
}

// comes waits for a turn. If it does not come, it has been given back.
func (g *Gate) comes(ctx context.Context, t *turn, client Client) bool {
	end := time.NewTimer(g.opts.KeyWait)
	defer end.Stop()
	w := waiter{out: t.out}
	if w.wait(ctx, t.begin, end.C, client) && ctx.Err() == nil {
		return true
	}
	g.line.leave(t)
	return false
}

// await asks the token's issuer, and waits for keys.
func (g *Gate) await(ctx context.Context, r *Request, under *Snapshot, v Verdict) Verdict {
	if v.lack != nil && v.lack.question != nil {
		asked := v
		v = g.waiting(r, func(t *Trace) *Interval { return &t.Asked }, func() Verdict { return g.judgeAsked(ctx, r, asked) })
	}
	if v.lack == nil || len(v.lack.sources) == 0 {
		return v
	}
	return g.waiting(r, func(t *Trace) *Interval { return &t.Keys }, func() Verdict { return g.judgeAgain(ctx, r, under, v) })
}

// judgeAgain judges a request again until nothing can change the verdict any more. v is the verdict under a snapshot, or
// under a later one.
func (g *Gate) judgeAgain(ctx context.Context, r *Request, under *Snapshot, v Verdict) Verdict {
	came := r.Time
	if came.IsZero() {
		came = g.opts.Now()
	}
	s, patience := g.room.sight(r.Remote, v.lack.sources[0], v.KeyID), g.opts.KeyWait
	if g.room.disproved(s, v.lack.sources, g.opts.Now()) {
		if v.lack.in > 0 {
			return v
		}
		patience = min(patience, briefly)
	}
	if !r.Places.enter() {
		return v
	}
	defer r.Places.leave()
	w := g.room.enter(s.client)
	if w == nil {
		return v
	}
	defer g.room.leave(w)
	end := time.NewTimer(patience)
	defer end.Stop()
	for {
		next, looked := g.room.looked(v.lack.sources, came)
		switch now := g.snapshot.Load(); {
		case now != under:
			under = now
			later := *r
			later.Time = time.Time{} // it is later by now
			var landed bool
			if v, landed = g.answered(ctx, &later, g.Judge(&later), w, end.C); v.lack == nil {
				g.room.forget(s)
				return v
			}
			if !landed { // the time is up, which end says once
				return v
			}
			continue
		case looked:
			return v
		}
		if len(v.lack.sources) == 0 || !w.wait(ctx, next, end.C, r.Client) {
			return v
		}
		g.lacking(v.lack.sources) // asks again: the look that has ended may have begun before the request came
	}
}

// wait returns true at news, and false when there is nothing more to wait for.
func (w *waiter) wait(ctx context.Context, news <-chan struct{}, end <-chan time.Time, client Client) bool {
	var look <-chan time.Time
	if client != nil {
		t := time.NewTicker(glance)
		defer t.Stop()
		look = t.C
	}
	for {
		select {
		case <-news:
			return true
		case <-w.out:
		case <-end:
		case <-ctx.Done():
		case <-look:
			if !client.Left() {
				continue
			}
		}
		return false
	}
}

// lackOf returns what could change about a refusal; nil: nothing.
func (g *Gate) lackOf(f *finding) *lack {
	if q := f.question; q != nil {
		own := *q
		own.now = g.opts.Now
		return &lack{question: &own}
	}
	return g.lacking(f.unknown)
}

// lacking asks for a look at key sets that lack a token's key. It returns nil if none can be looked at.
func (g *Gate) lacking(sources []string) *lack {
	if g.opts.OnUnknownKey == nil || len(sources) == 0 {
		return nil
	}
	var l lack
	for _, id := range sources {
		if in, ok := g.opts.OnUnknownKey(id); ok {
			l.sources, l.in = append(l.sources, id), max(l.in, in)
		}
	}
	if len(l.sources) == 0 {
		return nil
	}
	return &l
}

// Checked is told that a key set has been looked at anew, and that what was found is in force: the keys are those of some
// time since began, or no newer ones can be had.
func (g *Gate) Checked(source string, began time.Time) { g.room.check(source, began) }
