package relay

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// trim gives memory back once many goroutines have ended, as waits were parked, or many of HTTP/2 have nothing to do: only
// the garbage collector frees stacks, and makes those shrink that have grown; but where nothing is allocated it does not
// run.
type trim struct {
	most int // goroutines that were seen since it was last done
	idle int // goroutines with nothing to do when it was last done
	last time.Time

	percent int // of garbage beside what is live
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

// Bounds of the garbage that there may be beside what is live.
const (
	leastGarbage = 16 << 20 // in bytes: where little is live, collections would be frequent without need
	mostGarbage  = 32 << 20
	leastPercent = 25 // of what is live: each collection looks at all of that
	mostPercent  = 400
	usualPercent = 100 // the collector's own
)

// pace has the garbage collector run more often where much is live, as in a flood of connections, and less often where little
// is: by itself it lets as much garbage gather as there is live memory. With GOGC set, it does nothing.
func (t *trim) pace() {
	if _, set := os.LookupEnv("GOGC"); set {
		return
	}
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	if percent := percentFor(sample[0].Value.Uint64()); percent > t.percent*4/3 || percent < t.percent*3/4 {
		t.percent = percent
		debug.SetGCPercent(percent)
	}
}

// percentFor is how much garbage there may be beside so many bytes that are live, in percent of them.
func percentFor(live uint64) int {
	live = max(live, 1)
	percent := min(max(usualPercent, 100*leastGarbage/live), 100*mostGarbage/live)
	return int(max(leastPercent, min(mostPercent, percent))) //nolint:gosec // at most 400
}
