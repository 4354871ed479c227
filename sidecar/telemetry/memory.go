package telemetry

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bearerguard/bearerguard/api/decision"
)

// What is remembered of requests, to be found by their ids. A slot has at most some 3 KiB, mostly a fifth of that, and is made
// when it is first needed.
const (
	// mostRefused is how many refusals are kept.
	mostRefused = 1000
	// mostPassed is how many other requests are kept.
	mostPassed = 500
	// mostAudits is how many verdicts of Audit policies are kept of a request.
	mostAudits = 4
)

// How many requests are kept a second at most, and at once: the refusals of each reason, and all others together. Beyond, remembering
// costs one look at a number.
const (
	refusedEvery, refusedAtOnce = 10 * time.Millisecond, 1000
	passedEvery, passedAtOnce   = 100 * time.Millisecond, 100
)

// pace lets so many through a second. It neither locks nor allocates, and what it does not let through it only reads. It is the
// generic cell rate algorithm (ITU-T I.371), with times in nanoseconds since 1970.
type pace struct {
	due   atomic.Int64 // when the next one would come if all came evenly
	every int64
	burst int64 // how far due may lie in the future
}

func (p *pace) allow(at time.Time) bool {
	now := at.UnixNano()
	for {
		due := p.due.Load()
		from := max(due, now)
		switch {
		case due == 0: // the first
			from = now
		case due > now+p.burst:
			return false
		}
		if p.due.CompareAndSwap(due, from+p.every) {
			return true
		}
	}
}

// memory is the last refusals and a sample of the other requests. Where there are too many refusals, the reason that has most of
// them loses its oldest: a flood of one kind does not push out the others. It is safe for concurrent use.
type memory struct {
	paces  map[decision.Reason]*pace // of refusals; read only
	passed pace

	mu      sync.Mutex
	refused map[decision.Reason]*queue // guarded by mu, with one for every reason
	others  queue                      // guarded by mu
	n       int                        // guarded by mu: refusals that are kept
}

func newMemory() *memory {
	m := &memory{paces: map[decision.Reason]*pace{}, refused: map[decision.Reason]*queue{}}
	for _, reason := range decision.Reasons() {
		m.paces[reason] = &pace{every: int64(refusedEvery), burst: int64(refusedEvery) * (refusedAtOnce - 1)}
		m.refused[reason] = &queue{}
	}
	m.passed.every, m.passed.burst = int64(passedEvery), int64(passedEvery)*(passedAtOnce-1)
	return m
}

// keep keeps a request, if there are not too many just now. Without details there are those that the record itself has.
func (m *memory) keep(r *Record, details *decision.Details) {
	if !r.refused() {
		if m.passed.allow(r.Time) {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.others.push(m.others.room(mostPassed)).set(r, details, "")
		}
		return
	}
	if p := m.paces[r.Reason]; p == nil || !p.allow(r.Time) {
		return
	}
	cause := causeText(r.Cause)
	m.mu.Lock()
	defer m.mu.Unlock()
	own := m.refused[r.Reason]
	from := own
	if m.n >= mostRefused {
		for _, q := range m.refused {
			if q.n > from.n {
				from = q
			}
		}
	} else {
		m.n++
		from = &queue{} // a new slot
	}
	own.push(from.pop()).set(r, details, cause)
}

// sighted is a request in a slot, unless the slot has another one by now.
type sighted struct {
	*slot
	at     int64
	filled uint64
	reason decision.Reason
}

// list returns what f holds of, the newest first, at most so many. Who serves requests takes the same lock, so all that grows with
// what is remembered and can be done without it is: requests are sorted with none, and shown one at a time.
func (m *memory) list(most int, f func(*slot) bool) []Remembered {
	return m.show(newest(m.look(f), most))
}

// listEach is list with at most so many of each reason.
func (m *memory) listEach(most, each int, f func(*slot) bool) []Remembered {
	seen := map[decision.Reason]int{}
	return m.show(slices.DeleteFunc(newest(m.look(f), most), func(s sighted) bool {
		seen[s.reason]++
		return seen[s.reason] > each
	}))
}

// look finds what f holds of, in no order.
func (m *memory) look(f func(*slot) bool) []sighted {
	found := make([]sighted, 0, mostRefused+mostPassed)
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, q := range m.refused {
		found = q.filter(found, f)
	}
	return m.others.filter(found, f)
}

func newest(found []sighted, most int) []sighted {
	slices.SortStableFunc(found, func(a, b sighted) int { return cmp.Compare(b.at, a.at) })
	return found[:min(most, len(found))]
}

// show returns the requests as they are shown, but for those that are forgotten meanwhile.
func (m *memory) show(found []sighted) []Remembered {
	out := make([]Remembered, 0, len(found))
	for _, s := range found {
		m.mu.Lock()
		if s.slot.filled == s.filled {
			out = append(out, s.slot.show())
		}
		m.mu.Unlock()
	}
	return out
}

// queue is slots in the order in which they were filled.
type queue struct {
	first, last *slot
	n           int
}

// pop takes out the oldest slot; a new one if there is none.
func (q *queue) pop() *slot {
	s := q.first
	if s == nil {
		return &slot{}
	}
	if q.first = s.next; q.first == nil {
		q.last = nil
	}
	s.next = nil
	q.n--
	return s
}

// room returns a slot to fill: a new one while there are fewer than most.
func (q *queue) room(most int) *slot {
	if q.n < most {
		return &slot{}
	}
	return q.pop()
}

func (q *queue) push(s *slot) *slot {
	if q.last == nil {
		q.first = s
	} else {
		q.last.next = s
	}
	q.last = s
	q.n++
	return s
}

func (q *queue) filter(out []sighted, f func(*slot) bool) []sighted {
	for s := q.first; s != nil; s = s.next {
		if f(s) {
			out = append(out, sighted{slot: s, at: s.at, filled: s.filled, reason: s.reason})
		}
	}
	return out
}
