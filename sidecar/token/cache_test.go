package token

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"
)

func entry(v string, expiry time.Time) Entry[string] {
	return Entry[string]{Value: v, Bytes: len(v), Expiry: expiry, Keep: true}
}

func TestCacheEntryDiesAtExpiry(t *testing.T) {
	t.Parallel()
	c := NewCache[string](1 << 20)
	const k = "token"
	c.Fill(k, 0, now, func(string) Entry[string] { return entry("v", now.Add(time.Minute)) })
	if v, ok := c.Get(k, 0, now.Add(time.Minute-1)); !ok || v != "v" {
		t.Error("not found before its expiry")
	}
	if _, ok := c.Get(k, 0, now.Add(time.Minute)); ok {
		t.Error("found at its expiry")
	}
	c.Fill(k, 0, now.Add(time.Minute), func(string) Entry[string] { return Entry[string]{Value: "expired"} })
	if s := c.Stats(); s.Entries != 0 || s.Bytes != 0 || s.Hits != 1 || s.Misses != 2 {
		t.Errorf("got %+v", s)
	}
}

func TestATokenIsCachedForItsPlaceAlone(t *testing.T) {
	t.Parallel()
	c := NewCache[int](4 << 20)
	for _, raw := range []string{"a", "b"} {
		for location := range 300 {
			c.Fill(raw, location<<12, now, func(string) Entry[int] { return Entry[int]{Value: location, Keep: true} })
		}
	}
	if n := c.Stats().Entries; n != 600 {
		t.Errorf("%d entries for 600 tokens and places", n)
	}
	for location := range 300 {
		if v, ok := c.Get("b", location<<12, now); !ok || v != location {
			t.Fatalf("place %d has the value of place %d", location, v)
		}
	}
}

// Whatever the hash says, a value is handed out for the very token alone.
func TestTokensOfOneHashAreApart(t *testing.T) {
	t.Parallel()
	c := NewCache[string](1 << 20)
	s := &c.shards[0]
	keys := []cacheKey{{"a", 0}, {"b", 0}, {"a", 1}, {"aa", 0}}
	for _, k := range keys {
		s.put(7, k, Entry[string]{Value: k.raw + strconv.Itoa(k.location)})
	}
	for _, drop := range []int{1, 3, 0, 2} { // from the middle and both ends of the bucket
		for _, k := range keys {
			if n := s.find(7, k); n != nil && n.value != k.raw+strconv.Itoa(k.location) {
				t.Errorf("%v has the value of %s", k, n.value)
			}
		}
		s.drop(s.find(7, keys[drop]))
		if s.find(7, keys[drop]) != nil {
			t.Errorf("%v is still there", keys[drop])
		}
	}
	if s.entries != 0 || s.bytes != 0 || s.bucket(7).Load() != nil || s.ring.next != &s.ring {
		t.Error("something is left")
	}
}

// The text that a caller looks with may be gone after the call.
func TestTheCacheKeepsItsOwnCopyOfAToken(t *testing.T) {
	t.Parallel()
	c := NewCache[string](1 << 20)
	buffer := []byte("token")
	c.Fill(unsafe.String(&buffer[0], len(buffer)), 0, now, func(raw string) Entry[string] { return entry(strings.Clone(raw), time.Time{}) })
	copy(buffer, "other")
	if v, ok := c.Get("token", 0, now); !ok || v != "token" {
		t.Errorf("got %q, %v", v, ok)
	}
	if _, ok := c.Get("other", 0, now); ok {
		t.Error("the next token in the buffer got the verdict of the one before")
	}
}

func TestCacheKeepsNoRefusals(t *testing.T) {
	t.Parallel()
	c := NewCache[string](1 << 20)
	const k = "token"
	runs := 0
	for range 3 {
		c.Fill(k, 0, now, func(string) Entry[string] { runs++; return Entry[string]{Value: "refused"} })
	}
	if runs != 3 || c.Stats().Entries != 0 {
		t.Errorf("%d runs, %d entries", runs, c.Stats().Entries)
	}
}

func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	const limit = 64 << 10
	c := NewCache[string](limit)
	const hot = "hot"
	c.Fill(hot, 0, now, func(string) Entry[string] { return entry("hot", time.Time{}) })
	for i := range 20000 {
		c.Fill(strconv.Itoa(i), 0, now, func(string) Entry[string] { return entry("some value", now.Add(time.Hour)) })
		if _, ok := c.Get(hot, 0, now); !ok {
			t.Fatal("the token in use was pushed out")
		}
	}
	s := c.Stats()
	if s.Bytes > limit || s.Entries < 100 || s.Evictions == 0 {
		t.Errorf("got %+v", s)
	}
	c.Fill("big", 0, now, func(string) Entry[string] { return Entry[string]{Value: "x", Bytes: limit, Keep: true} })
	if _, ok := c.Get("big", 0, now); ok {
		t.Error("a value beyond the bound was kept")
	}
	none := NewCache[string](0)
	none.Fill(hot, 0, now, func(string) Entry[string] { return entry("v", time.Time{}) })
	if _, ok := none.Get(hot, 0, now); ok {
		t.Error("a cache of nothing keeps something")
	}
}

func TestConcurrentMissesVerifyOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := NewCache[string](1 << 20)
		const k = "token"
		var runs atomic.Int32
		release := make(chan struct{})
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				got := c.Fill(k, 0, now, func(string) Entry[string] {
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
		const k = "token"
		release := make(chan struct{})
		go func() {
			defer func() { _ = recover() }()
			c.Fill(k, 0, now, func(string) Entry[string] { <-release; panic("x") })
		}()
		synctest.Wait()
		got := make(chan string)
		go func() { got <- c.Fill(k, 0, now, func(string) Entry[string] { return entry("own", time.Time{}) }) }()
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
				k := strconv.Itoa(n)
				if v := c.Fill(k, 0, now, func(string) Entry[int] { return Entry[int]{Value: n, Keep: true} }); v != n {
					t.Errorf("got %d, want %d", v, n)
				}
				if v, ok := c.Get(k, 0, now); ok && v != n {
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
	c.Fill(raw, 0, now, func(string) Entry[*int] { return Entry[*int]{Value: new(int), Keep: true} })
	if n := testing.AllocsPerRun(100, func() { c.Get(raw, 0, now) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkCacheGet(b *testing.B) {
	c := NewCache[*int](1 << 20)
	raw, same := fmt.Sprintf("%0826d", 1), fmt.Sprintf("%0826d", 1) // not one string: the texts are compared
	c.Fill(raw, 0, now, func(string) Entry[*int] { return Entry[*int]{Value: new(int), Keep: true} })
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			c.Get(same, 0, now)
		}
	})
}
