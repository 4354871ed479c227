package frame_test

import (
	"testing"

	"github.com/bearerguard/bearerguard/sidecar/proxy/frame"
)

func TestStreams(t *testing.T) {
	t.Parallel()
	var s frame.Streams[int]
	values := [400]int{}
	for i := range values {
		s.Add(uint32(2*i+1), &values[i])
	}
	for i := 0; i < len(values); i += 2 {
		s.Remove(uint32(2*i + 1))
		s.Remove(uint32(2*i + 2)) // is not there
	}
	for i := range values {
		want := &values[i]
		if i%2 == 0 {
			want = nil
		}
		if got := s.Get(uint32(2*i + 1)); got != want {
			t.Fatalf("Get(%d) = %p, want %p", 2*i+1, got, want)
		}
	}
	for i := len(values) - 1; i > 0; i -= 2 {
		if got := s.Pop(); got != &values[i] {
			t.Fatalf("Pop() = %p, want what belongs to the last stream, %p", got, &values[i])
		}
	}
	if s.Pop() != nil || s.Len() != 0 || s.Get(1) != nil {
		t.Error("something is left where all has been removed")
	}
}

// A stream that begins and ends on a connection which has had one before allocates nothing.
func TestStreamsAllocateNothing(t *testing.T) {
	var s frame.Streams[int]
	value, id := 0, uint32(1)
	allocs := testing.AllocsPerRun(100, func() {
		s.Add(id, &value)
		s.Remove(id)
		id += 2
	})
	if allocs != 0 {
		t.Errorf("%v allocations for a stream, want none", allocs)
	}
}
