package relay

import (
	"runtime"
	"runtime/debug"
	"time"
)

// trim gives memory back once many waits have been parked, or many goroutines of HTTP/2 have nothing to do: only the garbage
// collector frees the stacks of goroutines that have ended, and makes those shrink that have grown; but where nothing is
// allocated it does not run.
type trim struct {
	parked uint64 // when it was last done
	idle   int
	last   time.Time
}

// Bounds of a trim.
const (
	trimFrom  = 500             // waits parked since the last one, or idle goroutines
	trimEvery = 2 * time.Second // at most
)

// look is told how many waits have been parked so far, and how many goroutines have nothing to do.
func (t *trim) look(parked uint64, idle int, now time.Time) {
	if idle < t.idle/2 {
		t.idle = idle
	}
	due := parked-t.parked >= trimFrom || idle >= max(trimFrom, t.idle+t.idle/4)
	if !due || now.Sub(t.last) < trimEvery {
		return
	}
	t.parked, t.idle, t.last = parked, idle, now
	runtime.GC() // each halves a stack, and empties the pools of what was not used since the one before
	debug.FreeOSMemory()
}
