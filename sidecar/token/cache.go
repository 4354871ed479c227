package token

import (
	"hash/maphash"
	"math/bits"
	"slices"
	"sync/atomic"
	"time"
)

// Entry is what a miss yields.
type Entry[T any] struct {
	// Value is handed to every caller that waits for this token.
	Value T
	// Bytes is the size of Value, for the cache's bound; the cache itself counts the token's text and its bookkeeping.
	Bytes int
	// Expiry ends the entry; zero: it lives until it is pushed out.
	Expiry time.Time
	// Keep is false for values that are not to be cached, such as refusals.
	Keep bool
}

// cacheKey identifies a token at a place: an issuer that takes tokens from one place must not get another place's
// verdict.
type cacheKey struct {
	raw      string
	location int
}

// Cache maps tokens, each at the place where it was found, to values. It is bounded in bytes, keeps what was used
// lately, and is safe for concurrent use. An entry is never handed out once it has expired. Whatever else could end a
// verdict (keys, policies, revocations) ends the whole cache: a new snapshot has a new one.
//
// A token is found by a hash with a random key, then compared whole with the token that was verified, so that two
// tokens can never get each other's value. Finding one takes no lock, so that requests on many cores with one token do
// not wait for each other.
type Cache[T any] struct {
	seed   maphash.Seed
	shards [shards]shard[T]
}

// shards divide the cache, so that misses on many cores do not wait for one lock.
const shards = 16

// NewCache returns a cache of at most maxBytes, token texts and bookkeeping included. With 0 it keeps nothing.
func NewCache[T any](maxBytes int64) *Cache[T] {
	c := &Cache[T]{seed: maphash.MakeSeed()}
	for i := range c.shards {
		c.shards[i].init(maxBytes / shards)
	}
	return c
}

// tail is how much of a token is hashed, in bytes: the end, which is the signature or the authentication tag and so
// differs from token to token. Nobody can choose it for a token that verifies, and no other is kept: even a flood of
// tokens with one end meets one entry.
const tail = 64

func (c *Cache[T]) hash(k cacheKey) uint64 {
	end := k.raw[max(0, len(k.raw)-tail):]
	// The place is a small number: odd multiples keep the hashes of one token at two places apart.
	return maphash.String(c.seed, end) + uint64(k.location)*0x9e3779b97f4a7c15
}

// shard spreads by the topmost bits of the hash; a shard's buckets go by the lowest.
func (c *Cache[T]) shard(hash uint64) *shard[T] {
	return &c.shards[hash>>(64-bits.TrailingZeros(shards))]
}

// Get returns the value of a token that is cached and not expired. It takes no lock, allocates nothing and keeps
// nothing of raw.
func (c *Cache[T]) Get(raw string, location int, now time.Time) (value T, ok bool) {
	k := cacheKey{raw, location}
	hash := c.hash(k)
	return c.shard(hash).get(hash, k, now)
}

// Fill returns the value from the cache, or from miss, which runs once however many callers ask for the token at the
// same time. Miss must not keep raw, which is the caller's; the cache keeps a copy of it with a value that is to be kept.
// A panic in miss goes up to its own caller; one of those who waited then runs miss again.
func (c *Cache[T]) Fill(raw string, location int, now time.Time, miss func(raw string) Entry[T]) T {
	k := cacheKey{raw, location}
	hash := c.hash(k)
	s := c.shard(hash)
	for {
		s.mu.Lock()
		if value, ok := s.get(hash, k, now); ok {
			s.mu.Unlock()
			return value
		}
		s.dropExpired(hash, k, now)
		f := s.flight(hash, k)
		if f == nil {
			f = &flight[T]{hash: hash, key: k}
			s.flights = append(s.flights, f)
			s.misses++
			s.mu.Unlock()
			return s.fly(f, miss)
		}
		if f.done == nil {
			f.done = make(chan struct{})
		}
		s.mu.Unlock()
		if <-f.done; f.landed {
			return f.value
		}
	}
}

// Stats are counts since the cache was made, and what it holds now.
type Stats struct {
	// Hits is how often a value was found, Misses how often one was made, Evictions how often one was pushed out.
	Hits, Misses, Evictions uint64
	// Entries held now. One that has expired is held until its token comes again or its place is needed.
	Entries int
	// Bytes held now, token texts and bookkeeping included.
	Bytes int64
}

// Stats returns the cache's counts.
func (c *Cache[T]) Stats() Stats {
	var sum Stats
	for i := range c.shards {
		s := &c.shards[i]
		sum.Hits += s.hits.Load()
		s.mu.Lock()
		sum.Misses += s.misses
		sum.Evictions += s.evictions
		sum.Entries += s.entries
		sum.Bytes += s.bytes
		s.mu.Unlock()
	}
	return sum
}

// flight is one run of a miss, for everybody who asks meanwhile. Its key is in the memory of the caller who runs it, so
// that it is compared with only until it has ended. value and landed are set before done is closed.
type flight[T any] struct {
	hash   uint64
	key    cacheKey
	done   chan struct{} // guarded by the shard's mu; nil while nobody waits
	value  T
	landed bool
}

// flight returns the flight of a key, or nil. They are few: one for each caller at most. Called with mu held.
func (s *shard[T]) flight(hash uint64, k cacheKey) *flight[T] {
	for _, f := range s.flights {
		if f.hash == hash && f.key == k {
			return f
		}
	}
	return nil
}

// fly runs miss, keeps its value if it is to be kept, and wakes those who wait.
func (s *shard[T]) fly(f *flight[T], miss func(raw string) Entry[T]) T {
	var e Entry[T]
	defer func() {
		s.mu.Lock()
		s.flights = slices.DeleteFunc(s.flights, func(other *flight[T]) bool { return other == f })
		if f.landed && e.Keep {
			s.put(f.hash, f.key, e)
		}
		done := f.done
		s.mu.Unlock()
		if done != nil {
			close(done)
		}
	}()
	e = miss(f.key.raw)
	f.value, f.landed = e.Value, true
	return e.Value
}

// node is one entry. It is immutable but for its links and its mark.
type node[T any] struct {
	hash   uint64
	key    cacheKey
	value  T
	expiry time.Time
	bytes  int64
	used   atomic.Bool             // since the hand last came by
	below  atomic.Pointer[node[T]] // the next in its bucket; written with the shard's mu held
	prev   *node[T]                // guarded by the shard's mu, as is next
	next   *node[T]
}
