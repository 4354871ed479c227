package relay

import (
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	ends "github.com/bearerguard/bearerguard/sidecar/proxy/exchange"
)

// errParked says that a wait has been long enough to go on without a goroutine: whoever gets it returns, and then calls
// park with what is to be done once the wait is over.
const errParked connError = "the wait goes on without a goroutine"

// wait is one side of a connection, reading or writing, as far as it is waited for. One goroutine uses it at a time, and
// the sweep beside it.
type wait struct {
	conn net.Conn
	raw  syscall.RawConn // nil: not a TCP connection, so it cannot be waited for without a buffer
	lot  *lot            // nil: only a goroutine can wait

	writing bool         // which side it is
	stays   bool         // with its goroutine, as it could not be parked
	since   atomic.Int64 // when a wait that may be parked began, by the sweep's clock; 0: there is none

	mu     sync.Mutex
	nudged bool   // guarded by mu: the deadline is past because the wait is to be parked
	ended  bool   // guarded by mu: the deadline is somebody else's from now on
	resume func() // guarded by mu: what to do when the wait is over; nil: nothing is parked
	id     uint64 // guarded by mu: the lot's name for it; 0: it has none yet
}

// crowded says that there are so many connections that waits which are likely to be long are parked at once.
func (w *wait) crowded() bool { return w.lot != nil && !w.stays && w.lot.crowd.Load() }

// begin begins a wait that may be parked.
func (w *wait) begin() {
	if w.lot != nil && !w.stays {
		w.since.Store(w.lot.clock.Load())
	}
}

// settle ends a wait that could be parked, and returns what the error of reading or writing means.
func (w *wait) settle(err error) error {
	if w.lot == nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.since.Store(0)
	if !w.nudged {
		return err
	}
	w.nudged = false
	if w.ended {
		return err
	}
	w.setDeadline(time.Time{})
	if err != nil && ends.TimedOut(err) {
		return errParked
	}
	return err
}

// setDeadline sets this side's deadline. It fails if the connection has been closed, which ends all waits as well.
func (w *wait) setDeadline(t time.Time) {
	if w.writing {
		_ = w.conn.SetWriteDeadline(t)
		return
	}
	_ = w.conn.SetReadDeadline(t)
}

// nudge has a goroutine that has waited for as long as patience park its wait. It is the sweep's.
func (w *wait) nudge(now int64, patience time.Duration) {
	if since := w.since.Load(); since == 0 || time.Duration(now-since) < patience {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.since.Load() != 0 && !w.ended {
		w.nudged = true
		w.setDeadline(past)
	}
}

// park has resume run, in a goroutine of its own, once the wait is over or ended. Then the caller has nothing to do with the
// connection any more. It returns false if that cannot be; then no later wait is parked either.
func (w *wait) park(resume func()) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended || !w.lot.watch(w) {
		w.stays = true
		return false
	}
	w.resume = resume
	return true
}

// wake resumes a wait that is parked.
func (w *wait) wake() {
	w.mu.Lock()
	resume := w.resume
	w.resume = nil
	w.mu.Unlock()
	if resume != nil {
		go resume()
	}
}

// end ends what is being read or written, and all that would be, at a time.
func (w *wait) end(at time.Time) {
	w.mu.Lock()
	w.ended = true
	w.setDeadline(at)
	w.mu.Unlock()
	w.wake()
}
