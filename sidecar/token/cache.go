package token

import (
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"time"
	"unsafe"
)

// CacheKey identifies a token at a place.
type CacheKey [sha256.Size]byte

// KeyOf returns the SHA-256 of the token, mixed with the place where it was found: an issuer that takes tokens from one
// place must not get another place's verdict.
func KeyOf(raw string, location int) CacheKey {
	text := unsafe.Slice(unsafe.StringData(raw), len(raw)) //nolint:gosec // only read; []byte(raw) would be a copy a request
	k := CacheKey(sha256.Sum256(text))
	binary.LittleEndian.PutUint16(k[:2], binary.LittleEndian.Uint16(k[:2])^uint16(location))
	return k
}

// entryOverhead is what an entry costs besides its value, in bytes: key, pointers, map slot, list links.
const entryOverhead = 256

// shards divide the cache, so that requests on many cores do not wait for one lock.
const shards = 16

// Entry is what a miss yields.
type Entry[T any] struct {
	// Value is handed to every caller that waits for this token.
	Value T
	// Bytes is the size of Value, for the cache's bound.
	Bytes int
	// Expiry ends the entry; zero: it lives until it is pushed out.
	Expiry time.Time
	// Keep is false for values that are not to be cached, such as refusals.
	Keep bool
}

// Cache maps tokens to values. It is bounded in bytes, keeps what was used lately, and is safe for concurrent use. An
// entry is never handed out once it has expired. Whatever else could end a verdict (keys, policies, revocations) ends
// the whole cache: a new snapshot has a new one.
type Cache[T any] struct {
	shards [shards]shard[T]
}

// NewCache returns a cache of at most maxBytes, bookkeeping included. With 0 it keeps nothing.
func NewCache[T any](maxBytes int64) *Cache[T] {
	c := &Cache[T]{}
	for i := range c.shards {
		s := &c.shards[i]
		s.entries, s.flights = map[CacheKey]*node[T]{}, map[CacheKey]*flight[T]{}
		s.ring.prev, s.ring.next = &s.ring, &s.ring
		s.max = maxBytes / shards
	}
	return c
}

// shard spreads by the last byte of the hash.
func (c *Cache[T]) shard(k CacheKey) *shard[T] { return &c.shards[k[len(k)-1]%shards] }

// Get returns the value of a token that is cached and not expired. It does not allocate.
func (c *Cache[T]) Get(k CacheKey, now time.Time) (value T, ok bool) {
	s := c.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.get(k, now)
}

// Fill returns the value from the cache, or from miss, which runs once however many callers ask for the token at the
// same time. A panic in miss goes up to its own caller; one of those who waited then runs miss again.
func (c *Cache[T]) Fill(k CacheKey, now time.Time, miss func() Entry[T]) T {
	s := c.shard(k)
	for {
		s.mu.Lock()
		if value, ok := s.get(k, now); ok {
			s.mu.Unlock()
			return value
		}
		f, running := s.flights[k]
		if !running {
			f = &flight[T]{done: make(chan struct{})}
			s.flights[k] = f
			s.stats.Misses++
		}
		s.mu.Unlock()
		if !running {
			return s.fly(k, f, miss)
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
	// Entries held now.
	Entries int
	// Bytes held now, bookkeeping included.
	Bytes int64
}

// Stats returns the cache's counts.
func (c *Cache[T]) Stats() Stats {
	var sum Stats
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		sum.Hits += s.stats.Hits
		sum.Misses += s.stats.Misses
		sum.Evictions += s.stats.Evictions
		sum.Entries += len(s.entries)
		sum.Bytes += s.bytes
		s.mu.Unlock()
	}
	return sum
}

// shard is a least-recently-used list of its own.
type shard[T any] struct {
	max int64 // immutable

	mu      sync.Mutex // guards what follows
	entries map[CacheKey]*node[T]
	flights map[CacheKey]*flight[T]
	ring    node[T] // sentinel: ring.next was used last, ring.prev is pushed out first
	bytes   int64
	stats   Stats // the counts only
}

type node[T any] struct {
	key        CacheKey
	value      T
	expiry     time.Time
	bytes      int64
	prev, next *node[T]
}

// flight is one run of a miss, for everybody who asks meanwhile. value and landed are set before done is closed.
type flight[T any] struct {
	done   chan struct{}
	value  T
	landed bool
}

// fly runs miss, keeps its value if it is to be kept, and wakes those who wait.
func (s *shard[T]) fly(k CacheKey, f *flight[T], miss func() Entry[T]) T {
	var e Entry[T]
	defer func() {
		s.mu.Lock()
		delete(s.flights, k)
		if f.landed && e.Keep {
			s.put(k, e)
		}
		s.mu.Unlock()
		close(f.done)
	}()
	e = miss()
	f.value, f.landed = e.Value, true
	return e.Value
}

// get finds an entry and moves it to the front. Called with mu held.
func (s *shard[T]) get(k CacheKey, now time.Time) (value T, ok bool) {
	n := s.entries[k]
	if n == nil {
		return value, false
	}
	if !n.expiry.IsZero() && !now.Before(n.expiry) {
		s.drop(n)
		return value, false
	}
	s.stats.Hits++
	if s.ring.next != n {
		n.prev.next, n.next.prev = n.next, n.prev
		s.front(n)
	}
	return n.value, true
}

// put adds an entry and pushes out what was not used for longest. Called with mu held.
func (s *shard[T]) put(k CacheKey, e Entry[T]) {
	n := &node[T]{key: k, value: e.Value, expiry: e.Expiry, bytes: int64(e.Bytes) + entryOverhead}
	if old := s.entries[k]; old != nil {
		s.drop(old)
	}
	if n.bytes > s.max {
		return
	}
	for s.bytes+n.bytes > s.max {
		s.drop(s.ring.prev)
		s.stats.Evictions++
	}
	s.entries[k] = n
	s.bytes += n.bytes
	s.front(n)
}

func (s *shard[T]) front(n *node[T]) {
	n.prev, n.next = &s.ring, s.ring.next
	s.ring.next.prev = n
	s.ring.next = n
}

func (s *shard[T]) drop(n *node[T]) {
	n.prev.next, n.next.prev = n.next, n.prev
	delete(s.entries, n.key)
	s.bytes -= n.bytes
}
