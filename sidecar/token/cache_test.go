package token

import (
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func entry(v string, expiry time.Time) Entry[string] {
	return Entry[string]{Value: v, Bytes: len(v), Expiry: expiry, Keep: true}
}

func TestCacheEntryDiesAtExpiry(t *testing.T) {
	t.Parallel()
	c := NewCache[string](1 << 20)
	k := KeyOf("token", 0)
	c.Fill(k, now, func() Entry[string] { return entry("v", now.Add(time.Minute)) })
	if v, ok := c.Get(k, now.Add(time.Minute-1)); !ok || v != "v" {
		t.Error("not found before its expiry")
	}
	if _, ok := c.Get(k, now.Add(time.Minute)); ok {
		t.Error("found at its expiry")
	}
	if s := c.Stats(); s.Entries != 0 || s.Bytes != 0 || s.Hits != 1 || s.Misses != 1 {
		t.Errorf("got %+v", s)
	}
}

func TestCacheKeysAreApart(t *testing.T) {
	t.Parallel()
	seen := map[CacheKey]bool{}
	for _, raw := range []string{"a", "b"} {
		for location := range 300 {
			seen[KeyOf(raw, location)] = true
		}
	}
	if len(seen) != 600 {
		t.Errorf("%d keys for 600 tokens and places", len(seen))
	}
}

func TestCacheKeepsNoRefusals(t *testing.T) {
	t.Parallel()
	c := NewCache[string](1 << 20)
	k, runs := KeyOf("token", 0), 0
	for range 3 {
		c.Fill(k, now, func() Entry[string] { runs++; return Entry[string]{Value: "refused"} })
	}
	if runs != 3 || c.Stats().Entries != 0 {
		t.Errorf("%d runs, %d entries", runs, c.Stats().Entries)
	}
}

func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	const limit = 64 << 10
	c := NewCache[string](limit)
	hot := KeyOf("hot", 0)
	c.Fill(hot, now, func() Entry[string] { return entry("hot", time.Time{}) })
	for i := range 20000 {
		c.Fill(KeyOf(strconv.Itoa(i), 0), now, func() Entry[string] { return entry("some value", now.Add(time.Hour)) })
		if _, ok := c.Get(hot, now); !ok {
			t.Fatal("the token in use was pushed out")
		}
	}
	s := c.Stats()
	if s.Bytes > limit || s.Entries < 100 || s.Evictions == 0 {
		t.Errorf("got %+v", s)
	}
	c.Fill(KeyOf("big", 0), now, func() Entry[string] { return Entry[string]{Value: "x", Bytes: limit, Keep: true} })
	if _, ok := c.Get(KeyOf("big", 0), now); ok {
		t.Error("a value beyond the bound was kept")
	}
	none := NewCache[string](0)
	none.Fill(hot, now, func() Entry[string] { return entry("v", time.Time{}) })
	if _, ok := none.Get(hot, now); ok {
		t.Error("a cache of nothing keeps something")
	}
}

func TestConcurrentMissesVerifyOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := NewCache[string](1 << 20)
		k := KeyOf("token", 0)
		var runs atomic.Int32
		release := make(chan struct{})
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				got := c.Fill(k, now, func() Entry[string] {
					runs.Add(1)
					<-release
					return Entry[string]{Value: "refused"}
				})
				if got != "refused" {
					t.Errorf("got %q", got)
				}
			})
		}
		synctest.Wait()
		close(release)
		wg.Wait()
		if runs.Load() != 1 {
			t.Errorf("%d runs", runs.Load())
		}
	})
}

func TestPanicInMissIsNobodysVerdict(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := NewCache[string](1 << 20)
		k := KeyOf("token", 0)
		release := make(chan struct{})
		go func() {
			defer func() { _ = recover() }()
			c.Fill(k, now, func() Entry[string] { <-release; panic("x") })
		}()
		synctest.Wait()
		got := make(chan string)
		go func() { got <- c.Fill(k, now, func() Entry[string] { return entry("own", time.Time{}) }) }()
		synctest.Wait()
		close(release)
		if v := <-got; v != "own" {
			t.Errorf("got %q", v)
		}
	})
}

func TestCacheUnderRaces(t *testing.T) {
	t.Parallel()
	c := NewCache[int](16 << 10)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 2000 {
				n := (i*7 + g) % 100
				k := KeyOf(strconv.Itoa(n), 0)
				if v := c.Fill(k, now, func() Entry[int] { return Entry[int]{Value: n, Keep: true} }); v != n {
					t.Errorf("got %d, want %d", v, n)
				}
				if v, ok := c.Get(k, now); ok && v != n {
					t.Errorf("got %d, want %d", v, n)
				}
			}
		})
	}
	wg.Wait()
}

func TestGetDoesNotAllocate(t *testing.T) {
	c := NewCache[*int](1 << 20)
	raw := fmt.Sprintf("%0800d", 1)
	c.Fill(KeyOf(raw, 0), now, func() Entry[*int] { return Entry[*int]{Value: new(int), Keep: true} })
	if n := testing.AllocsPerRun(100, func() { c.Get(KeyOf(raw, 0), now) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkCacheGet(b *testing.B) {
	c := NewCache[*int](1 << 20)
	raw := fmt.Sprintf("%0826d", 1)
	k := KeyOf(raw, 0)
	c.Fill(k, now, func() Entry[*int] { return Entry[*int]{Value: new(int), Keep: true} })
	b.Run("with the key", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			c.Get(k, now)
		}
	})
	b.Run("with hashing 826 bytes", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			c.Get(KeyOf(raw, 0), now)
		}
	})
}
