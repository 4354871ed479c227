package token

import (
	"math"
	"math/bits"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// bytesPerBucket sizes the table: cached tokens take a few hundred bytes each, so a bucket rarely has two.
	bytesPerBucket = 512
	// bucketBytes is what an entry's part of the table takes, in bytes: there are one to two buckets for each, if the
	// cache is full.
	bucketBytes = 12
)

// node is one entry. It is immutable but for its links and its heat.
type node[T any] struct {
	hash     uint64
	digest   digest
	expiry   int64                   // in nanoseconds since 1970; never: math.MaxInt64
	length   uint32                  // of the token, in bytes
	location int                     // where it was found
	heat     atomic.Uint32           // 0: not used since the hand last came by; else how often it was found, modulo frequentAfter
	bytes    uint32                  // with all that it refers to alone
	below    atomic.Pointer[node[T]] // the next in its bucket; written with the shard's mu held
	prev     *node[T]                // guarded by the shard's mu, as is next
	next     *node[T]
	value    T
}

// until is a time as a node has it. Times beyond those that fit end early, in the year 2262.
func until(t time.Time) int64 {
	if t.IsZero() {
		return math.MaxInt64
	}
	if t.Unix() >= math.MaxInt64/int64(time.Second) {
		return math.MaxInt64 - 1
	}
	return t.UnixNano()
}

func (n *node[T]) expired(now time.Time) bool { return now.UnixNano() >= n.expiry }

// is reports whether the entry is that of a key. The token is digested only if all else agrees.
func (n *node[T]) is(hash uint64, k cacheKey, d *digester) bool {
	return n.hash == hash && n.location == k.location && int(n.length) == len(k.raw) && n.digest == d.of(k.raw)
}

// mark notes that the entry was used.
func (n *node[T]) mark() {
	if n.heat.Load() == 0 {
		n.heat.Store(1)
	}
}

// use counts that the entry was found, from 1 to frequentAfter and again from 1. A count that gets lost between two
// callers does no harm.
func (n *node[T]) use() uint32 {
	heat := n.heat.Load()%frequentAfter + 1
	n.heat.Store(heat)
	return heat
}

// shard is a part of the cache: a hash table that is read without a lock, and a ring of its entries for eviction by
// CLOCK: what was used since the hand last came by stays for another round, so the hand pushes out what was not used
// for long without every hit having to move its entry.
type shard[T any] struct {
	max     int64 // immutable, as is buckets
	buckets []atomic.Pointer[node[T]]

	_    [64]byte // hits are written by every reader, buckets only read
	hits atomic.Uint64
	_    [64]byte

	mu        sync.Mutex // guards what follows, and all writes to the table
	flights   []*flight[T]
	ring      node[T] // sentinel: ring.next is the hand, ring.prev came last
	bytes     int64
	entries   int
	misses    uint64
	evictions uint64
}

func (s *shard[T]) init(maxBytes int64) {
	s.max = maxBytes
	s.buckets = make([]atomic.Pointer[node[T]], 1<<bits.Len64(uint64(maxBytes/bytesPerBucket)))
	s.ring.prev, s.ring.next = &s.ring, &s.ring
}

func (s *shard[T]) bucket(hash uint64) *atomic.Pointer[node[T]] {
	return &s.buckets[hash&uint64(len(s.buckets)-1)]
}

// find returns the entry of a key, expired or not. A node that is dropped meanwhile still leads on to those below it.
func (s *shard[T]) find(hash uint64, k cacheKey, d *digester) *node[T] {
	for n := s.bucket(hash).Load(); n != nil; n = n.below.Load() {
		if n.is(hash, k, d) {
			return n
		}
	}
	return nil
}

// get returns an entry that has not expired, or nil, and counts it. mu need not be held.
func (s *shard[T]) get(hash uint64, k cacheKey, now time.Time, d *digester) *node[T] {
	n := s.find(hash, k, d)
	if n == nil || n.expired(now) {
		return nil
	}
	s.hits.Add(1)
	return n
}

// dropExpired takes out an entry that must not be handed out any more. Called with mu held.
func (s *shard[T]) dropExpired(hash uint64, k cacheKey, now time.Time, d *digester) {
	if n := s.find(hash, k, d); n != nil && n.expired(now) {
		s.drop(n)
	}
}

// put adds an entry, which is not larger than the shard, and makes room for it. Called with mu held.
func (s *shard[T]) put(n *node[T]) {
	for s.bytes+int64(n.bytes) > s.max {
		s.evict()
	}
	n.below.Store(s.bucket(n.hash).Load())
	s.bucket(n.hash).Store(n)
	s.bytes += int64(n.bytes)
	s.entries++
	s.append(n)
}

// evict lets the hand go round once at most, since readers mark entries meanwhile: one that was used gets another
// round, the first that was not is dropped. Called with mu held and an entry there.
func (s *shard[T]) evict() {
	for range s.entries {
		n := s.ring.next
		if n.heat.Swap(0) == 0 {
			break
		}
		n.prev.next, n.next.prev = n.next, n.prev
		s.append(n)
	}
	s.drop(s.ring.next)
	s.evictions++
}

// append puts an entry where the hand comes last.
func (s *shard[T]) append(n *node[T]) {
	n.prev, n.next = s.ring.prev, &s.ring
	n.prev.next, s.ring.prev = n, n
}

// drop takes an entry out. Called with mu held.
func (s *shard[T]) drop(n *node[T]) {
	at := s.bucket(n.hash)
	for at.Load() != n {
		at = &at.Load().below
	}
	at.Store(n.below.Load())
	n.prev.next, n.next.prev = n.next, n.prev
	s.bytes -= int64(n.bytes)
	s.entries--
}
