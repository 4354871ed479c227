package token

import (
	"hash/maphash"
	"math/bits"
	"strings"
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
// same time. Miss is given a copy of raw that it may keep. A panic in miss goes up to its own caller; one of those who
// waited then runs miss again.
func (c *Cache[T]) Fill(raw string, location int, now time.Time, miss func(raw string) Entry[T]) T {
	k := cacheKey{strings.Clone(raw), location}
	hash := c.hash(k)
	s := c.shard(hash)
	for {
		s.mu.Lock()
		if value, ok := s.get(hash, k, now); ok {
			s.mu.Unlock()
			return value
		}
		s.dropExpired(hash, k, now)
		f, running := s.flights[k]
		if !running {
			f = &flight[T]{done: make(chan struct{})}
			s.flights[k] = f
			s.misses++
		}
		s.mu.Unlock()
		if !running {
			return s.fly(hash, k, f, miss)
		}
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

// flight is one run of a miss, for everybody who asks meanwhile. value and landed are set before done is closed.
type flight[T any] struct {
	done   chan struct{}
	value  T
	landed bool
}

// fly runs miss, keeps its value if it is to be kept, and wakes those who wait.
func (s *shard[T]) fly(hash uint64, k cacheKey, f *flight[T], miss func(raw string) Entry[T]) T {
	var e Entry[T]
	defer func() {
		s.mu.Lock()
		delete(s.flights, k)
		if f.landed && e.Keep {
			s.put(hash, k, e)
		}
		s.mu.Unlock()
		close(f.done)
	}()
	e = miss(k.raw)
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
