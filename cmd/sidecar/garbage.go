package main

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// Bounds of the garbage that there may be beside what is live.
const (
	leastGarbage = 16 << 20 // in bytes: where little is live, collections would be frequent without need
	mostGarbage  = 32 << 20
	leastPercent = 25 // of what is live: each collection looks at all of that
	mostPercent  = 400
	usualPercent = 100 // the collector's own
)

// paceEvery is how often the live memory is looked at.
const paceEvery = 500 * time.Millisecond

// paceCollector has the garbage collector run more often where much is live, as in a flood of connections, and less often
// where little is: by itself it lets as much garbage gather as there is live memory. It returns when ctx is done. With GOGC
// set, it does nothing.
func paceCollector(ctx context.Context) error {
	if _, set := os.LookupEnv("GOGC"); set {
		return nil
	}
	tick := time.NewTicker(paceEvery)
	defer tick.Stop()
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	for percent := 0; ; {
		metrics.Read(sample)
		if p := percentFor(sample[0].Value.Uint64()); p > percent*4/3 || p < percent*3/4 {
			percent = p
			debug.SetGCPercent(percent)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// percentFor is how much garbage there may be beside so many bytes that are live, in percent of them.
func percentFor(live uint64) int {
	live = max(live, 1)
	percent := min(max(usualPercent, 100*leastGarbage/live), 100*mostGarbage/live)
	return int(max(leastPercent, min(mostPercent, percent))) //nolint:gosec // at most 400
}
