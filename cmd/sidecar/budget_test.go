package main

import (
	"math"
	"slices"
	"testing"
)

func TestTheKernelHasMemoryForConnections(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	for name, tt := range map[string]struct{ limit, connections, files, want int64 }{
		"nothing else":            {112 * mib, 0, 0, 112 * mib},
		"connections":             {112 * mib, 1024, 0, 104 * mib},
		"a quarter at most":       {100 * mib, 100000, 0, 75 * mib},
		"files":                   {112 * mib, 0, 40 * mib, 72 * mib},
		"both":                    {112 * mib, 1024, 40 * mib, 64 * mib},
		"half is the collector's": {100 * mib, 100000, 40 * mib, 50 * mib},
	} {
		if got := collectorLimit(tt.limit, tt.connections, tt.files); got != tt.want {
			t.Errorf("%s: %d, want %d", name, got, tt.want)
		}
	}
}

// The collector is told of connections now and then, of none too late, and not each time that one comes and goes.
func TestTheCollectorIsToldOfConnections(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	var told []int64
	b := newBudget(256 * mib)
	b.set = func(n int64) { told = append(told, (256*mib-n)/mib) }
	for range 257 {
		b.connection(+1)
	}
	for range 100 {
		b.connection(-1)
		b.connection(+1)
	}
	b.holdFiles(10 * mib)
	b.holdSockets(5 * mib)
	b.holdSockets(6 * mib)
	b.holdSockets(0)
	for range 257 {
		b.connection(-1)
	}
	if want := []int64{2, 4, 14, 22, 14}; !slices.Equal(told, want) {
		t.Errorf("left to others, MiB: %d, want %d", told, want)
	}
	for range 1024 {
		b.connection(+1)
	}
	for range 1024 {
		b.connection(-1)
	}
	if last := told[len(told)-1]; last != 14 {
		t.Errorf("left to others at the end: %d MiB", last)
	}

	free := newBudget(math.MaxInt64)
	free.set = func(int64) { t.Error("there is no limit, and one is set") }
	free.connection(+1)
	free.holdFiles(mib)
}
