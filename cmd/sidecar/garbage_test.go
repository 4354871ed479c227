package main

import "testing"

func TestGarbageBesideWhatIsLive(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		live uint64
		want int
	}{
		"nothing":                      {0, 400},
		"an idle sidecar":              {2 << 20, 400},
		"a busy one":                   {8 << 20, 200},
		"as much as the least":         {16 << 20, 100},
		"as much as the most":          {32 << 20, 100},
		"twice as much":                {64 << 20, 50},
		"three times as much":          {96 << 20, 33},
		"so much that looking is dear": {1 << 30, 25},
	} {
		if got := percentFor(c.live); got != c.want {
			t.Errorf("%s: %d %%, want %d %%", what, got, c.want)
		}
	}
}

func TestWhatABurstLeftIsGivenBack(t *testing.T) {
	t.Parallel()
	const much, little = 5 << 20, 3 << 20
	for what, c := range map[string]struct {
		allocated uint64
		heap      heap
		want      bool
	}{
		"garbage of a burst that is over":        {0, heap{live: 1 << 20, objects: 1<<20 + much}, true},
		"memory that a burst needed":             {0, heap{live: 1 << 20, objects: 1 << 20, free: much}, true},
		"a burst that goes on":                   {quiet, heap{live: 1 << 20, objects: 1<<20 + much}, false},
		"a little garbage":                       {0, heap{live: 1 << 20, objects: 1<<20 + little}, false},
		"little garbage, little that was needed": {0, heap{live: 1 << 20, objects: 1<<20 + little, free: little}, true},
		"less than what was live":                {0, heap{live: 30 << 20, objects: 20 << 20}, false},
	} {
		before := heap{allocated: 100 << 20}
		c.heap.allocated = before.allocated + c.allocated
		if got := c.heap.worthGivingBack(before); got != c.want {
			t.Errorf("%s: given back: %t, want %t", what, got, c.want)
		}
	}
}

func TestTheStateOfTheHeap(t *testing.T) {
	t.Parallel()
	before := newHeapReader().read()
	kept := make([]byte, 8<<20)
	after := newHeapReader().read()
	if got := after.allocated - before.allocated; got < uint64(len(kept)) {
		t.Errorf("8 MiB were allocated, and %d bytes counted", got)
	}
	if after.objects == 0 {
		t.Error("the heap has no objects")
	}
}
