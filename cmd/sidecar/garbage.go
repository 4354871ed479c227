package main

import (
	"context"
	"os"
	"runtime"
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

// What is given back to the system, once little is allocated: garbage, and memory that the collector has kept for what would come.
const (
	leastGivenBack = 4 << 20  // in bytes: less is not worth a collection
	quiet          = 64 << 10 // in bytes, between two looks: so little that it takes half a minute for the next collection to be worth it
)

// paceEvery is how often the heap is looked at.
const paceEvery = 500 * time.Millisecond

// paceCollector has the garbage collector run more often where much is live, as in a flood of connections, and less often
// where little is: by itself it lets as much garbage gather as there is live memory. What a burst has left, the start among them, goes back
// to the system when it is over, not two minutes later. It returns when ctx is done. With GOGC set, it does nothing.
func paceCollector(ctx context.Context) error {
	if _, set := os.LookupEnv("GOGC"); set {
		return nil
	}
	tick := time.NewTicker(paceEvery)
	defer tick.Stop()
	for percent, before, r := 0, (heap{}), newHeapReader(); ; {
		h := r.read()
		if p := percentFor(h.live); p > percent*4/3 || p < percent*3/4 {
			percent = p
			debug.SetGCPercent(percent)
		}
		if h.worthGivingBack(before) {
			runtime.GC() // pools give their contents up in two collections
			debug.FreeOSMemory()
		}
		before = h
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// heap is the state of the heap, in bytes.
type heap struct {
	live      uint64 // when it was last collected
	objects   uint64 // those, what was allocated since, and garbage
	free      uint64 // kept for what will be allocated
	allocated uint64 // since the start of the process
}

// worthGivingBack reports whether much could go back to the system and little was allocated since an earlier state.
func (h heap) worthGivingBack(before heap) bool {
	return h.objects-min(h.live, h.objects)+h.free >= leastGivenBack && h.allocated-before.allocated < quiet
}

// heapReader reads the state of the heap, without a stop of the process.
type heapReader []metrics.Sample

func newHeapReader() heapReader {
	return heapReader{
		{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/free:bytes"},
		{Name: "/gc/heap/allocs:bytes"},
	}
}

func (r heapReader) read() heap {
	metrics.Read(r)
	return heap{live: r[0].Value.Uint64(), objects: r[1].Value.Uint64(), free: r[2].Value.Uint64(), allocated: r[3].Value.Uint64()}
}

// percentFor is how much garbage there may be beside so many bytes that are live, in percent of them.
func percentFor(live uint64) int {
	live = max(live, 1)
	percent := min(max(usualPercent, 100*leastGarbage/live), 100*mostGarbage/live)
	return int(max(leastPercent, min(mostPercent, percent))) //nolint:gosec // at most 400
}
