package token

import (
	"math/bits"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// entryOverhead is what an entry costs besides its value and its token's text, in bytes: the node and its bucket.
	entryOverhead = 160
	// bytesPerBucket sizes the table: cached tokens take a few kilobytes each, so a bucket rarely has two.
	bytesPerBucket = 1 << 10
)

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
func (s *shard[T]) find(hash uint64, k cacheKey) *node[T] {
	for n := s.bucket(hash).Load(); n != nil; n = n.below.Load() {
		if n.hash == hash && n.key == k {
			return n
		}
	}
	return nil
}

// get returns the value of an entry that has not expired, and marks it as used. mu need not be held.
func (s *shard[T]) get(hash uint64, k cacheKey, now time.Time) (value T, ok bool) {
	n := s.find(hash, k)
	if n == nil || n.expired(now) {
		return value, false
	}
	if !n.used.Load() {
		n.used.Store(true)
	}
	s.hits.Add(1)
	return n.value, true
}

func (n *node[T]) expired(now time.Time) bool { return !n.expiry.IsZero() && !now.Before(n.expiry) }

// dropExpired takes out an entry that must not be handed out any more. Called with mu held.
func (s *shard[T]) dropExpired(hash uint64, k cacheKey, now time.Time) {
	if n := s.find(hash, k); n != nil && n.expired(now) {
		s.drop(n)
	}
}

// put adds an entry, with a copy of the token's text, and makes room for it. Called with mu held.
func (s *shard[T]) put(hash uint64, k cacheKey, e Entry[T]) {
	if old := s.find(hash, k); old != nil {
		s.drop(old)
	}
	bytes := int64(e.Bytes+len(k.raw)) + entryOverhead
	if bytes > s.max {
		return
	}
	k.raw = strings.Clone(k.raw)
	n := &node[T]{hash: hash, key: k, value: e.Value, expiry: e.Expiry, bytes: bytes}
	for s.bytes+n.bytes > s.max {
		s.evict()
	}
	n.below.Store(s.bucket(hash).Load())
	s.bucket(hash).Store(n)
	s.bytes += n.bytes
	s.entries++
	s.append(n)
}

// evict lets the hand go round once at most, since readers mark entries meanwhile: one that was used gets another
// round, the first that was not is dropped. Called with mu held and an entry there.
func (s *shard[T]) evict() {
	for range s.entries {
		n := s.ring.next
		if !n.used.Swap(false) {
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
	s.bytes -= n.bytes
	s.entries--
}
