package departed

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var start = time.Unix(1_800_000_000, 0)

func TestSet(t *testing.T) {
	t.Parallel()
	var s Set
	a, b := NewEntry("shop", "a", start), NewEntry("shop", "b", start.Add(time.Hour))
	if s.Has(a.UID) || !s.Add(start, a) || s.Add(start, a) || !s.Has(UIDOf("a")) || s.Has(UIDOf("b")) || s.Has(UID{}) {
		t.Error("a is not what is gone")
	}
	got, number := s.After(0)
	if diff := cmp.Diff([]Entry{a}, got); diff != "" {
		t.Error(diff)
	}
	s.Add(start.Add(time.Hour), b, Entry{})
	if got, _ := s.After(number); !cmp.Equal([]Entry{b}, got) {
		t.Errorf("what is new: %v", got)
	}
	s.Add(start.Add(Life + time.Second))
	if s.Has(a.UID) || !s.Has(b.UID) || s.Len() != 1 {
		t.Error("an entry lives for 24 h")
	}
	if s.Add(start.Add(Life+time.Second), a) || s.Has(a.UID) {
		t.Error("an entry that is over comes back")
	}
	var none *Set
	if none.Has(a.UID) || none.Len() != 0 {
		t.Error("a nil set has something")
	}
}

func TestNoNamespacePushesOutAnother(t *testing.T) {
	t.Parallel()
	var s Set
	s.Add(start, NewEntry("quiet", "stolen", start))
	for i := range Most + Most/2 {
		s.Add(start, NewEntry("busy", fmt.Sprint(i), start))
	}
	if !s.Has(UIDOf("stolen")) || s.Len() > Most || !s.Has(UIDOf(fmt.Sprint(Most+Most/2-1))) || s.Has(UIDOf("0")) {
		t.Errorf("%d entries; a busy namespace is to give up its own oldest", s.Len())
	}
}

func TestDecode(t *testing.T) {
	t.Parallel()
	want := []Entry{NewEntry("shop", "a", start), NewEntry("other", "b", start)}
	got, err := Decode(Encode(want))
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	for _, b := range [][]byte{make([]byte, Size-1), make([]byte, Size*(Most+1))} {
		if _, err := Decode(b); err == nil {
			t.Errorf("%d bytes are taken", len(b))
		}
	}
}

// TestHasDoesNotAllocate is not parallel, since it counts allocations.
func TestHasDoesNotAllocate(t *testing.T) {
	var s Set
	id := UIDOf("a")
	s.Add(start, NewEntry("shop", "b", start))
	if n := testing.AllocsPerRun(100, func() { s.Has(id) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
