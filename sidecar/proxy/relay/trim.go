package relay

import (
	"runtime"
	"runtime/debug"
	"time"
)

// trim gives memory back once many goroutines have ended, as waits were parked, or many of HTTP/2 have nothing to do: only
// the garbage collector frees stacks, and makes those shrink that have grown; but where nothing is allocated it does not
// run.
type trim struct {
	most int // goroutines that were seen since it was last done
	idle int // goroutines with nothing to do when it was last done
	last time.Time
}

// Bounds of a trim.
const (
	trimFrom  = 500             // goroutines that have ended, or are idle
	trimEvery = 2 * time.Second // at most
)

// look is told how many goroutines there are, and how many of them have nothing to do.
func (t *trim) look(goroutines, idle int, now time.Time) {
	if t.most = max(t.most, goroutines); idle < t.idle/2 {
		t.idle = idle
	}
	due := t.most-goroutines >= trimFrom || idle >= max(trimFrom, t.idle+t.idle/4)
	if !due || now.Sub(t.last) < trimEvery {
		return
	}
	t.most, t.idle, t.last = goroutines, idle, now
	runtime.GC() // each halves a stack, and empties the pools of what was not used since the one before
	debug.FreeOSMemory()
}
