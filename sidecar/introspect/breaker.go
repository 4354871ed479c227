package introspect

import (
	"sync"
	"time"
)

// The breaker's measures.
const (
	// failuresToOpen is how many questions in a row have to fail.
	failuresToOpen = 5
	// restFirst is how long the endpoint is left alone then; twice as long after each probe that fails, up to restMost.
	restFirst = time.Second
	restMost  = 15 * time.Second
)

// breaker leaves an endpoint alone that fails: it is not asked, and after a rest one question is a probe. It is safe for concurrent use.
type breaker struct {
	now func() time.Time

	mu       sync.Mutex
	failures int           // guarded by mu: in a row
	rest     time.Duration // guarded by mu: 0: closed
	until    time.Time     // guarded by mu: the end of the rest
	probing  bool          // guarded by mu
}

// allows reports whether a question may be asked, as far as is known before its turn has come.
func (b *breaker) allows() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.rest == 0 || !b.probing && !b.now().Before(b.until)
}

// begin reports whether a question may be asked now. Then end is to be called.
func (b *breaker) begin() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rest == 0 {
		return true
	}
	if b.probing || b.now().Before(b.until) {
		return false
	}
	b.probing = true
	return true
}

// end notes what became of a question.
func (b *breaker) end(fine bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if fine {
		b.failures, b.rest, b.probing = 0, 0, false
		return
	}
	b.failures++
	switch {
	case b.probing:
		b.probing = false
		b.rest = min(2*b.rest, restMost)
	case b.rest > 0: // it began before
		return
	case b.failures >= failuresToOpen:
		b.rest = restFirst
	default:
		return
	}
	b.until = b.now().Add(b.rest)
}

// open reports whether the endpoint is left alone.
func (b *breaker) open() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.rest > 0
}
