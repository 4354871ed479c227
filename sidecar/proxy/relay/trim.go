package relay

import (
	"runtime"
	"runtime/debug"
	"time"
)

// trim gives memory back once many connections have become idle. Serving a request makes a goroutine's stack grow, and only
// the garbage collector makes it shrink again; but where nothing is allocated it does not run.
type trim struct {
	idle int // connections when it was last done
	last time.Time
}

// Bounds of a trim.
const (
	trimFrom  = 500             // idle connections
	trimEvery = 2 * time.Second // at most
)

// look is told how many connections are idle.
func (t *trim) look(idle int, now time.Time) {
	if idle < t.idle/2 {
		t.idle = idle
	}
	if idle < trimFrom || idle < t.idle+t.idle/4 || now.Sub(t.last) < trimEvery {
		return
	}
	t.idle, t.last = idle, now
	for range 2 {
		runtime.GC() // each halves a stack, and empties the pools of what was not used since the one before
	}
	debug.FreeOSMemory()
}
