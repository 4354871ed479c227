package token

import (
	"hash/maphash"
	"math"
	"math/bits"
	"slices"
	"time"
	"unsafe"
)

// Entry is what a miss yields.
type Entry[T any] struct {
	// Value is handed to every caller that waits for this token.
	Value T
	// Bytes is the size of what Value refers to and nothing else does, for the cache's bound; the cache itself counts
	// Value and its bookkeeping.
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
// An entry does not hold its token. A token is found by a fast hash of its end and is known by a keyed cryptographic
// hash of the whole (digest.go). The few tokens that are used most are kept as text too, and are known by that
// (frequent.go). Finding a token takes no lock, so that requests on many cores with one token do not wait for each other.
type Cache[T any] struct {
	seed     maphash.Seed
	digest   *digester
	frequent frequent[T]
	shards   [shards]shard[T]
}

// shards divide the cache, so that misses on many cores do not wait for one lock.
const shards = 16

// frequentShare is the part of the cache's bytes that the texts of frequent tokens may have.
const frequentShare = 8

// NewCache returns a cache of at most maxBytes, bookkeeping included. With 0 it keeps nothing.
func NewCache[T any](maxBytes int64) *Cache[T] {
	c := &Cache[T]{seed: maphash.MakeSeed(), digest: newDigester()}
	c.frequent.init(maxBytes / frequentShare)
	for i := range c.shards {
		c.shards[i].init((maxBytes - maxBytes/frequentShare) / shards)
	}
	return c
}

// tail is how much of a token is hashed to find it, in bytes: the end, which is the signature or the authentication tag
// and so differs from token to token. Nobody can choose it for a token that verifies, and no other is kept: even a flood
// of tokens with one end meets one entry.
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

// Get returns the value of a token that is cached and not expired, or nil. It takes no lock, allocates nothing, but for a
// token that becomes a frequent one, and keeps nothing of raw. The value is shared: it must not be changed.
func (c *Cache[T]) Get(raw string, location int, now time.Time) *T {
	k := cacheKey{raw, location}
	hash := c.hash(k)
	s := c.shard(hash)
	if n := c.frequent.find(hash, k); n != nil && !n.expired(now) {
		n.mark()
		s.hits.Add(1)
		return &n.value
	}
	n := s.get(hash, k, now, c.digest)
	if n == nil {
		return nil
	}
	if n.use() == frequentAfter {
		c.frequent.put(raw, n)
	}
	return &n.value
}

// Fill returns the value from the cache, or from miss, which runs once however many callers ask for the token at the
// same time. Miss must not keep raw, which is the caller's. The value is shared: it must not be changed. A panic in miss
// goes up to its own caller; one of those who waited then runs miss again.
func (c *Cache[T]) Fill(raw string, location int, now time.Time, miss func(raw string) Entry[T]) *T {
	k := cacheKey{raw, location}
	hash := c.hash(k)
	s := c.shard(hash)
	for {
		s.mu.Lock()
		if n := s.get(hash, k, now, c.digest); n != nil {
			s.mu.Unlock()
			return &n.value
		}
		s.dropExpired(hash, k, now, c.digest)
		c.frequent.dropExpired(hash, k, now)
		f := s.flight(hash, k)
		if f == nil {
			f = &flight[T]{hash: hash, key: k}
			s.flights = append(s.flights, f)
			s.misses++
			s.mu.Unlock()
			return c.fly(s, f, now, miss)
		}
		if f.done == nil {
			f.done = make(chan struct{})
		}
		s.mu.Unlock()
		if <-f.done; f.node != nil {
			return &f.node.value
		}
	}
}

// Stats are counts since the cache was made, and what it holds now.
type Stats struct {
	// Hits is how often a value was found, Misses how often one was made, Evictions how often one was pushed out.
	Hits, Misses, Evictions uint64
	// Entries held now. One that has expired is held until its token comes again or its place is needed.
	Entries int
	// Bytes held now, bookkeeping included.
	Bytes int64
}

// Stats returns the cache's counts.
func (c *Cache[T]) Stats() Stats {
	sum := Stats{Bytes: c.frequent.bytes.Load()}
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
// that it is compared with only until it has ended. node and keep are set before done is closed.
type flight[T any] struct {
	hash uint64
	key  cacheKey
	done chan struct{} // guarded by the shard's mu; nil while nobody waits
	node *node[T]      // nil if miss panicked
	keep bool
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
func (c *Cache[T]) fly(s *shard[T], f *flight[T], now time.Time, miss func(raw string) Entry[T]) *T {
	defer s.land(f)
	e := miss(f.key.raw)
	n := &node[T]{hash: f.hash, location: f.key.location, length: uint32(len(f.key.raw)), value: e.Value}
	f.node = n
	bytes := (int64(unsafe.Sizeof(*n))+15)&^15 + bucketBytes + int64(e.Bytes) // the allocator rounds up
	if f.keep = e.Keep && bytes <= min(s.max, math.MaxUint32); f.keep {
		n.digest, n.expiry, n.bytes = c.digest.of(f.key.raw), until(e.Expiry), uint32(bytes)
		c.frequent.offer(f.key.raw, n, now)
	}
	return &n.value
}

// land ends a flight.
func (s *shard[T]) land(f *flight[T]) {
	s.mu.Lock()
	s.flights = slices.DeleteFunc(s.flights, func(other *flight[T]) bool { return other == f })
	if f.keep {
		s.put(f.node)
	}
	done := f.done
	s.mu.Unlock()
	if done != nil {
		close(done)
	}
}
