package revstore

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/api/revoked"
)

func TestAFloodIsFewWrites(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		c.takes = 10 * time.Millisecond
		s := &Store{Client: c}
		began := time.Now()
		var all sync.WaitGroup
		const n = 2000
		for i := range n {
			all.Go(func() {
				for try := 0; ; try++ {
					err := s.Put(t.Context(), shop, []revoked.Record{entry(i, 1<<31)}, time.Now())
					if err == nil {
						return
					}
					if !errors.Is(err, ErrBusy) || try > 100 {
						t.Error(err)
						return
					}
					time.Sleep(time.Second)
				}
			})
		}
		all.Wait()
		if got := len(c.all()); got != n {
			t.Errorf("%d entries are stored, want %d", got, n)
		}
		if c.writes > 20 {
			t.Errorf("%d events took %d writes in %s", n, c.writes, time.Since(began))
		}
	})
}

func TestTheFirstEventIsStoredAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &Store{Client: newCluster()}
		began := time.Now()
		if err := s.Put(t.Context(), shop, entries(0, 1, 1<<31), began); err != nil || time.Since(began) > 0 {
			t.Errorf("stored after %s: %v", time.Since(began), err)
		}
	})
}

func TestAnEventIsAcknowledgedOnlyWhenStored(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		c.fail = errors.New("etcd is away")
		s := &Store{Client: c}
		if err := s.Put(t.Context(), shop, entries(0, 1, 1<<31), time.Now()); !errors.Is(err, ErrNotStored) {
			t.Errorf("acknowledged and not stored: %v", err)
		}
		c.fail = nil
		if err := s.Put(t.Context(), shop, entries(0, 1, 1<<31), time.Now()); err != nil || len(c.all()) != 1 {
			t.Errorf("sent again: %v, %d stored", err, len(c.all()))
		}
	})
}

func TestChunksThatSomebodyElseHasWrittenOrMergedLoseNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		s := &Store{Client: c}
		put := func(from, to int) {
			t.Helper()
			if err := s.Put(t.Context(), shop, entries(from, to, 1<<31), time.Now()); err != nil {
				t.Error(err)
			}
		}
		put(0, 10)
		for _, o := range c.chunks { // somebody writes to it
			o.ResourceVersion = "other"
		}
		put(10, 20)
		kept := c.all()
		clear(c.chunks) // merged into one that is not looked at here
		put(20, 30)
		if got := revoked.Merge(kept, c.all()); len(got) != 30 {
			t.Errorf("%d entries, want 30", len(got))
		}
	})
}

func TestANamespaceThatIsFullTakesNoMore(t *testing.T) {
	t.Parallel()
	held := revoked.Most - Reserve - 1
	c := newCluster()
	s := &Store{Client: c, Held: func(string) int { return held }}
	if err := s.Put(t.Context(), shop, entries(0, 1, 1<<31), time.Now()); err != nil {
		t.Errorf("the last that there is room for: %v", err)
	}
	held++
	if err := s.Put(t.Context(), shop, entries(1, 2, 1<<31), time.Now()); !errors.Is(err, ErrNoRoom) {
		t.Errorf("beyond: %v", err)
	}
	if err := s.Put(t.Context(), shop, nil, time.Now()); err != nil {
		t.Errorf("what brings no entry: %v", err)
	}
}

// TestMergingLosesNothing lives through two hours of events, with the merging of chunks between them.
func TestMergingLosesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		s := &Store{Client: c}
		compactor := &Compactor{Reader: c, Client: c}
		start := time.Now()
		var expected []revoked.Record
		for i := range 200 {
			at := time.Now()
			batch := entries(i*300, i*300+300, uint32(at.Add(time.Hour).Unix())) //nolint:gosec // of this century
			if err := s.Put(t.Context(), shop, batch, at); err != nil {
				t.Fatal(err)
			}
			expected = append(expected, batch...)
			time.Sleep(36 * time.Second)
			if err := compactor.compact(t.Context(), time.Now()); err != nil {
				t.Fatal(err)
			}
			if i%10 != 0 && i != 199 {
				continue
			}
			want, _ := revoked.Merge(expected).Live(time.Now())
			got, _ := c.all().Live(time.Now())
			if !slices.Equal(want, got) {
				t.Fatalf("after %s: %d entries are in force, want %d", time.Since(start), len(got), len(want))
			}
		}
		stored := 0
		for _, o := range c.objects() {
			stored += len(o.Spec.Entries)
			if len(o.Spec.Entries) > large+full+maxBatch {
				t.Errorf("a chunk of %d entries", len(o.Spec.Entries))
			}
		}
		live, _ := c.all().Live(time.Now())
		t.Logf("%d entries came, %d are in force, %d stored in %d chunks; %d writes, %d bytes", 200*300, len(live), stored, len(c.chunks), c.writes, c.bytes)
		if len(c.chunks) > 20 || stored > 2*len(live) {
			t.Errorf("%d chunks of %d entries for %d in force", len(c.chunks), stored, len(live))
		}
		time.Sleep(2 * time.Hour)
		if err := compactor.compact(t.Context(), time.Now()); err != nil || len(c.chunks) != 0 {
			t.Errorf("%d chunks of nothing but expired entries stay: %v", len(c.chunks), err)
		}
	})
}

// A chunk that is written to while it is merged stays, so that what came meanwhile does not go with it.
func TestAMergeTakesNothingThatItHasNotRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		s := &Store{Client: c}
		for i := range 12 {
			if err := (&Store{Client: c}).Put(t.Context(), shop, entries(i*10, i*10+10, 1<<31), time.Now()); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Put(t.Context(), shop, entries(900, 910, 1<<31), time.Now()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		stale := stalled{c, c.objects()}
		if err := s.Put(t.Context(), shop, entries(910, 920, 1<<31), time.Now()); err != nil {
			t.Fatal(err)
		}
		if err := (&Compactor{Reader: stale, Client: c}).compact(t.Context(), time.Now()); err != nil {
			t.Fatal(err)
		}
		if got := len(c.all()); got != 140 {
			t.Errorf("%d entries are left, want 140", got)
		}
		if len(c.chunks) != 2 {
			t.Errorf("%d chunks, want the merged one and the one that was written to", len(c.chunks))
		}
	})
}
