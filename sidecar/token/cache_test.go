package token

import (
	"fmt"
	"math"
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

// keep fills a cache with values that live until they are pushed out.
func keep[T any](c *Cache[T], raw string, location int, v T) *T {
	return c.Fill(raw, location, now, func(string) Entry[T] { return Entry[T]{Value: v, Keep: true} })
}

// known is the value that a cache hands out.
func known[T comparable](c *Cache[T], raw string, location int, want T) bool {
	v := c.Get(raw, location, now)
	return v != nil && *v == want
}

// noFrequent makes all tokens known by their digests.
func noFrequent[T any](c *Cache[T]) *Cache[T] {
	c.frequent.max = 0
	return c
}

// bothTiers are a cache whose tokens are known by their text and one whose tokens are known by their digest.
func bothTiers[T any](maxBytes int64) map[string]*Cache[T] {
	return map[string]*Cache[T]{"by text": NewCache[T](maxBytes), "by digest": noFrequent(NewCache[T](maxBytes))}
}

func TestCacheEntryDiesAtExpiry(t *testing.T) {
	t.Parallel()
	for name, c := range bothTiers[string](1 << 20) {
		const k = "token"
		c.Fill(k, 0, now, func(string) Entry[string] { return entry("v", now.Add(time.Minute)) })
		if v := c.Get(k, 0, now.Add(time.Minute-1)); v == nil || *v != "v" {
			t.Errorf("%s: not found before its expiry", name)
		}
		if c.Get(k, 0, now.Add(time.Minute)) != nil {
			t.Errorf("%s: found at its expiry", name)
		}
		c.Fill(k, 0, now.Add(time.Minute), func(string) Entry[string] { return Entry[string]{Value: "expired"} })
		if s := c.Stats(); s.Entries != 0 || s.Bytes != 0 || s.Hits != 1 || s.Misses != 2 {
			t.Errorf("%s: got %+v", name, s)
		}
	}
}

func TestExpiriesFarAway(t *testing.T) {
	t.Parallel()
	for name, expiry := range map[string]time.Time{
		"none": {}, "the last date of a token": time.Unix(maxDate, 0).Add(time.Hour), "in 300 years": now.AddDate(300, 0, 0),
	} {
		c := noFrequent(NewCache[int](1 << 20))
		c.Fill("t", 0, now, func(string) Entry[int] { return Entry[int]{Value: 1, Expiry: expiry, Keep: true} })
		if c.Get("t", 0, now.AddDate(200, 0, 0)) == nil {
			t.Errorf("%s: gone after 200 years", name)
		}
	}
}

func TestATokenIsCachedForItsPlaceAlone(t *testing.T) {
	t.Parallel()
	for name, c := range bothTiers[int](4 << 20) {
		for _, raw := range []string{"a", "b"} {
			for location := range 300 {
				keep(c, raw, location<<12, location)
			}
		}
		if n := c.Stats().Entries; n != 600 {
			t.Errorf("%s: %d entries for 600 tokens and places", name, n)
		}
		for location := range 300 {
			if !known(c, "b", location<<12, location) {
				t.Fatalf("%s: place %d does not have its own value", name, location)
			}
		}
	}
}

// A token that is not the very one that was verified is not known, wherever they differ: what finds it, its end, may be
// the same.
func TestOnlyTheVeryTokenIsKnown(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	for i := range 700 {
		text.WriteByte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[i*i%61])
	}
	raw := text.String()
	for name, c := range bothTiers[int](1 << 20) {
		keep(c, raw, 1, 7)
		if !known(c, raw, 1, 7) || !known(c, strings.Clone(raw), 1, 7) {
			t.Fatalf("%s: the token is not known", name)
		}
		for bit := range 8 * len(raw) {
			b := []byte(raw)
			b[bit/8] ^= 1 << (bit % 8)
			if c.Get(string(b), 1, now) != nil {
				t.Fatalf("%s: known with bit %d flipped", name, bit)
			}
		}
		for i := range len(raw) {
			for which, other := range map[string]string{
				"cut off before": raw[i+1:], "cut off after": raw[:i], "cut out": raw[:i] + raw[i+1:],
				"twice": raw[:i] + raw[i:i+1] + raw[i:], "a zero byte at": raw[:i] + "\x00" + raw[i:],
			} {
				if other != raw && c.Get(other, 1, now) != nil {
					t.Fatalf("%s: known with byte %d %s", name, i, which)
				}
			}
			if i+1 < len(raw) && raw[i] != raw[i+1] {
				swapped := raw[:i] + raw[i+1:i+2] + raw[i:i+1] + raw[i+2:]
				if c.Get(swapped, 1, now) != nil {
					t.Fatalf("%s: known with bytes %d and %d swapped", name, i, i+1)
				}
			}
		}
		for _, other := range []string{"", ".", raw + raw, raw + ".", "." + raw, raw[len(raw)-tail:], strings.ToLower(raw)} {
			if c.Get(other, 1, now) != nil {
				t.Errorf("%s: %d bytes of something else are known", name, len(other))
			}
		}
		for _, location := range []int{0, 2, -1, 1 << 31, 1<<32 + 1} {
			if c.Get(raw, location, now) != nil {
				t.Errorf("%s: known at place %d", name, location)
			}
		}
	}
}

// All tokens here have one end, one length and so one hash: the digest alone tells them apart.
func TestTokensOfOneEndAreApart(t *testing.T) {
	t.Parallel()
	for name, c := range bothTiers[int](1 << 20) {
		token := func(i int) string { return fmt.Sprintf("%0600d", i) + strings.Repeat("s", tail) }
		for i := range 500 {
			keep(c, token(i), 0, i)
		}
		for i := range 500 {
			if !known(c, token(i), 0, i) {
				t.Fatalf("%s: token %d has not its own value", name, i)
			}
		}
		if c.Get(token(500), 0, now) != nil {
			t.Errorf("%s: a token that was never seen is known", name)
		}
	}
}

func TestDropsLeaveTheOthersOfABucket(t *testing.T) {
	t.Parallel()
	c := NewCache[string](1 << 20)
	s := &c.shards[0]
	keys := []cacheKey{{"a", 0}, {"b", 0}, {"a", 1}, {"aa", 0}}
	for _, k := range keys {
		s.put(&node[string]{
			hash: 7, location: k.location, length: uint32(len(k.raw)), digest: c.digest.of(k.raw), bytes: 1,
			value: k.raw + strconv.Itoa(k.location),
		})
	}
	for _, drop := range []int{1, 3, 0, 2} { // from the middle and both ends of the bucket
		for _, k := range keys {
			if n := s.find(7, k, c.digest); n != nil && n.value != k.raw+strconv.Itoa(k.location) {
				t.Errorf("%v has the value of %s", k, n.value)
			}
		}
		s.drop(s.find(7, keys[drop], c.digest))
		if s.find(7, keys[drop], c.digest) != nil {
			t.Errorf("%v is still there", keys[drop])
		}
	}
	if s.entries != 0 || s.bytes != 0 || s.bucket(7).Load() != nil || s.ring.next != &s.ring {
		t.Error("something is left")
	}
}

// Every cache has a key of its own, so that nobody can look for tokens of one digest beforehand.
func TestDigestsHaveAKeyOfTheirCache(t *testing.T) {
	t.Parallel()
	a, b := newDigester(), newDigester()
	once, again := a.of("token"), a.of("token")
	if once != again || once == b.of("token") || once == a.of("tokem") || a.of("") == (digest{}) {
		t.Error("a digest is of a key and a text")
	}
	long := strings.Repeat("x", 100_000)
	if a.of(long) != a.of(strings.Clone(long)) || a.of(long) == a.of(long[1:]) || a.of("token") == a.of("token\x00") {
		t.Error("what was digested before has a part in it")
	}
}

// The text that a caller looks with may be gone after the call.
func TestTheCacheKeepsNothingOfItsCallers(t *testing.T) {
	t.Parallel()
	for name, c := range bothTiers[string](1 << 20) {
		buffer := []byte("token")
		c.Fill(unsafe.String(&buffer[0], len(buffer)), 0, now, func(raw string) Entry[string] { return entry(strings.Clone(raw), time.Time{}) })
		copy(buffer, "other")
		if !known(c, "token", 0, "token") {
			t.Errorf("%s: it is gone", name)
		}
		if c.Get("other", 0, now) != nil {
			t.Errorf("%s: the next token in the buffer got the verdict of the one before", name)
		}
	}
}

func TestCacheKeepsNoRefusals(t *testing.T) {
	t.Parallel()
	for name, c := range bothTiers[string](1 << 20) {
		runs := 0
		for range 3 {
			c.Fill("token", 0, now, func(string) Entry[string] { runs++; return Entry[string]{Value: "refused"} })
		}
		if s := c.Stats(); runs != 3 || s.Entries != 0 || s.Bytes != 0 || c.Get("token", 0, now) != nil {
			t.Errorf("%s: %d runs, %+v", name, runs, s)
		}
	}
}

func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	const limit = 64 << 10
	for name, c := range bothTiers[string](limit) {
		const hot = "hot"
		c.Fill(hot, 0, now, func(string) Entry[string] { return entry("hot", time.Time{}) })
		for i := range 20000 {
			c.Fill(strconv.Itoa(i), 0, now, func(string) Entry[string] { return entry("some value", now.Add(time.Hour)) })
			if c.Get(hot, 0, now) == nil {
				t.Fatalf("%s: the token in use was pushed out", name)
			}
		}
		s := c.Stats()
		if s.Bytes > limit || s.Entries < 100 || s.Evictions == 0 {
			t.Errorf("%s: got %+v", name, s)
		}
		c.Fill("big", 0, now, func(string) Entry[string] { return Entry[string]{Value: "x", Bytes: limit, Keep: true} })
		if c.Get("big", 0, now) != nil {
			t.Errorf("%s: a value beyond the bound was kept", name)
		}
	}
	for name, none := range bothTiers[string](0) {
		none.Fill("t", 0, now, func(string) Entry[string] { return entry("v", time.Time{}) })
		if none.Get("t", 0, now) != nil {
			t.Errorf("%s: a cache of nothing keeps something", name)
		}
	}
}

// Tokens that come again are kept through a flood of ten times as many as the cache can hold that come once.
func TestAFloodOfTokensSeenOnce(t *testing.T) {
	t.Parallel()
	for name, c := range bothTiers[int](256 << 10) {
		regular := make([]string, 200)
		for i := range regular {
			regular[i] = fmt.Sprintf("regular-%064d", i)
			keep(c, regular[i], 0, i)
		}
		lost := 0
		for i := range 20_000 {
			keep(c, fmt.Sprintf("once-%064d", i), 0, i)
			if which := i % len(regular); c.Get(regular[which], 0, now) == nil {
				lost++
				keep(c, regular[which], 0, which)
			}
		}
		if lost > len(regular)/20 {
			t.Errorf("%s: tokens that come again were lost %d times", name, lost)
		}
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
				if *got != "refused" {
					t.Errorf("got %q", *got)
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
		go func() { got <- *c.Fill(k, 0, now, func(string) Entry[string] { return entry("own", time.Time{}) }) }()
		synctest.Wait()
		close(release)
		if v := <-got; v != "own" {
			t.Errorf("got %q", v)
		}
	})
}

func TestCacheUnderRaces(t *testing.T) {
	t.Parallel()
	for _, c := range bothTiers[int](16 << 10) {
		var wg sync.WaitGroup
		for g := range 8 {
			wg.Go(func() {
				for i := range 2000 {
					n := (i*7 + g) % 100
					k := strconv.Itoa(n)
					at := now.Add(time.Duration(i) * time.Second) // entries expire meanwhile
					v := c.Fill(k, 0, at, func(string) Entry[int] { return Entry[int]{Value: n, Expiry: at.Add(time.Minute), Keep: true} })
					if *v != n {
						t.Errorf("got %d, want %d", *v, n)
					}
					if v := c.Get(k, 0, at); v != nil && *v != n {
						t.Errorf("got %d, want %d", *v, n)
					}
				}
			})
		}
		wg.Wait()
		if s := c.Stats(); s.Bytes > 16<<10 || s.Bytes < 0 {
			t.Errorf("got %+v", s)
		}
	}
}

// A place is a set of issuers: one bit for each, so that it may take all of an int.
func TestPlacesOfManyIssuersAreKnown(t *testing.T) {
	t.Parallel()
	c := NewCache[int](1 << 20)
	now := time.Unix(1e9, 0)
	for i, place := range []int{1 << 40, 1<<40 | 1, ^(1 << 40), math.MinInt} {
		c.Fill("token", place, now, func(string) Entry[int] { return Entry[int]{Value: i, Keep: true} })
	}
	for i, place := range []int{1 << 40, 1<<40 | 1, ^(1 << 40), math.MinInt} {
		if got := c.Get("token", place, now); got == nil || *got != i {
			t.Errorf("place %b: %v, want %d", place, got, i)
		}
	}
	if c.Get("token", 1, now) != nil {
		t.Error("a place is taken for its lower half")
	}
}
